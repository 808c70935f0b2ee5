// A video file as a source: the server processes it, the browser plays it, boxes follow the playback.

import { ServerProblem } from "./client.js";
import { readResult } from "./expressions.js";

const AHEAD = 1; // seconds of results required before playback continues

export class VideoSource {
  #abort = null;
  #address = null;
  #results = [];
  #isDone = false;
  #isWaiting = false;
  #isShown = false;

  constructor({ page, view, announcer, session, client }) {
    Object.assign(this, { page, view, announcer, session, client });
    page.video.addEventListener("seeked", () => this.#follow(page.video.currentTime));
  }

  stop() {
    this.#abort?.abort();
    if (this.#address === null) return;
    const { video } = this.page;
    video.pause();
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(this.#address);
    this.#address = null;
    this.#results = [];
  }

  async start(file, choice) {
    this.stop();
    this.view.reset();
    const abort = new AbortController();
    this.#abort = abort;
    this.#isDone = false;
    this.#isWaiting = false;
    this.announcer.warn("");
    this.announcer.say(`Processing ${file.name}…`);
    const isShown = await this.#load(file);
    if (abort.signal.aborted) return;
    this.#isShown = isShown;
    try {
      await this.#read(file, choice, abort.signal);
    } catch (error) {
      if (abort.signal.aborted) return;
      if (!(error instanceof ServerProblem)) throw error;
      this.announcer.warn(`${file.name}: ${error.message}`);
    }
    this.#isDone = true;
    this.#resume();
    this.#report(file);
    if (this.#results.length === 0) this.view.setStage(null);
  }

  async #read(file, choice, signal) {
    const onWait = (seconds) => this.announcer.say(`The server is busy; trying ${file.name} again in ${Math.ceil(seconds)} s.`);
    for await (const response of this.client.recognizeVideo(file, choice, { signal, onWait })) {
      signal.throwIfAborted();
      const result = readResult(response, file.name, response.time);
      if (this.#results.length === 0) this.#play(result);
      this.#results.push(result);
      this.session.add(result, choice);
      this.#resume();
      if (!this.#isShown) this.view.showMoment(result);
      this.announcer.sayProgress(`Processing ${file.name}: ${result.seconds.toFixed(0)} s done.`);
    }
  }

  // Load the file into the player; false if the browser cannot play it.
  async #load(file) {
    const { video } = this.page;
    this.#address = URL.createObjectURL(file);
    return new Promise((resolve) => {
      video.addEventListener("loadeddata", () => resolve(true), { once: true });
      video.addEventListener("error", () => resolve(false), { once: true });
      video.src = this.#address;
    });
  }

  #play(first) {
    this.view.setStage("video", first.width, first.height);
    this.view.setMirrored(false);
    const { video, frame } = this.page;
    frame.classList.remove("selectable");
    video.controls = true;
    if (!this.#isShown) return;
    video.play();
    const address = this.#address;
    const next = (_, shown) => {
      if (address !== this.#address) return;
      this.#follow(shown.mediaTime);
      video.requestVideoFrameCallback(next);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
    else video.addEventListener("timeupdate", () => this.#follow(video.currentTime));
  }

  // Show the last result that is not later than the playback; pause where the server has no result yet.
  #follow(seconds) {
    if (this.#results.length === 0) return;
    const after = this.#results.findIndex((result) => result.seconds > seconds + 0.001);
    const result = this.#results.at(after === -1 ? -1 : Math.max(after - 1, 0));
    this.view.showMoment(result);
    if (after === -1 && !this.#isDone && !this.page.video.paused) {
      this.#isWaiting = true;
      this.page.video.pause();
    }
  }

  #resume() {
    if (!this.#isWaiting) return;
    if (this.#isDone || this.#results.at(-1).seconds > this.page.video.currentTime + AHEAD) {
      this.#isWaiting = false;
      this.page.video.play();
    }
  }

  #report(file) {
    const frames = this.#results.length;
    if (frames === 0) this.announcer.say("");
    else if (this.#isShown) this.announcer.say(`${file.name}: ${frames} frames.`);
    else this.announcer.say(`${file.name}: ${frames} frames. The browser cannot play this video; its results are in the CSV.`);
  }
}
