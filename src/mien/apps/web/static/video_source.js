// A video file as a source: it is processed, the browser plays it, boxes follow the playback.

import { save } from "./download.js";
import { readResult } from "./expressions.js";
import { Problem } from "./problem.js";
import { SeekBar } from "./seek_bar.js";

const AHEAD = 1; // seconds of results required before playback continues
const USUAL_FRAME = 0.04; // seconds
const GONE = 0.5; // seconds after the last result in which its boxes still fit

export class VideoSource {
  #abort = null;
  #file = null;
  #choice = null;
  #address = null;
  #results = [];
  #isDone = false;
  #isWaiting = false;
  #isShown = false; // whether the browser can play it
  #position = 0; // seconds
  #isHeld = false; // whether the user has chosen the position
  #took = 0; // seconds that processing needed

  constructor({ page, view, announcer, session, client }) {
    Object.assign(this, { page, view, announcer, session, client });
    this.bar = new SeekBar(page);
    this.bar.addEventListener("seek", (event) => this.#seek(event.detail));
    page.video.addEventListener("seeked", () => this.#follow(page.video.currentTime));
    page.annotate.addEventListener("click", () => this.#annotate());
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
    this.#file = null;
    this.#results = [];
    this.bar.setEnd(0, USUAL_FRAME);
    this.page.annotate.hidden = true;
  }

  // Process the same file again, with another model or detector, if there is one.
  async again(choice) {
    if (this.#file) await this.start(this.#file, choice);
  }

  async start(file, choice) {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    [this.#file, this.#choice] = [file, choice];
    this.#isDone = this.#isWaiting = this.#isHeld = false;
    this.#position = 0;
    this.announcer.warn("");
    this.announcer.say(`Processing ${file.name}…`);
    this.#isShown = await this.#load(file);
    if (abort.signal.aborted) return;
    this.view.reset(this.#duration());
    const start = performance.now();
    try {
      await this.#read(file, choice, abort.signal);
    } catch (error) {
      if (abort.signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.announcer.warn(`${file.name}: ${error.message}`);
    }
    this.#took = (performance.now() - start) / 1000;
    this.#isDone = true;
    this.#resume();
    this.#report(file);
    if (this.#results.length === 0) this.view.setStage(null);
  }

  async #read(file, choice, signal) {
    const onWait = (seconds) => this.#sayBusy(seconds);
    for await (const response of this.client.recognizeVideo(file, choice, { signal, onWait })) {
      signal.throwIfAborted();
      const result = readResult(response, file.name, response.time);
      if (this.#results.length === 0) this.#play(result);
      this.#add(result, choice);
      this.announcer.sayProgress(`Processing ${file.name}: ${result.seconds.toFixed(0)} s done.`);
    }
  }

  #add(result, choice) {
    this.#results.push(result);
    this.session.add(result, choice);
    this.view.timeline.add(result);
    this.bar.setEnd(this.view.timeline.end, this.#step());
    this.#resume();
    if (!this.#isShown && !this.#isHeld) this.#follow(result.seconds);
    else if (this.#position > this.#results.at(-2)?.seconds) this.#follow(this.#position);
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

  // The video's length in seconds, as far as it is known.
  #duration() {
    const { duration } = this.page.video;
    return this.#isShown && Number.isFinite(duration) ? duration : 0;
  }

  // The time between two frames, in seconds.
  #step() {
    const count = this.#results.length;
    const step = count > 1 ? (this.#results[count - 1].seconds - this.#results[0].seconds) / (count - 1) : USUAL_FRAME;
    return Number(step.toFixed(6)) || USUAL_FRAME;
  }

  #play(first) {
    this.view.setStage("video", first.width, first.height);
    this.view.setMirrored(false);
    const { video, frame } = this.page;
    frame.classList.remove("selectable");
    video.controls = this.#isShown;
    if (!this.#isShown) return;
    video.play();
    const address = this.#address;
    const next = (_, shown) => {
      if (address !== this.#address) return;
      // while it stands still, an earlier frame may be reported after a later one was asked for
      this.#follow(video.paused ? video.currentTime : shown.mediaTime);
      video.requestVideoFrameCallback(next);
    };
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
    else video.addEventListener("timeupdate", () => this.#follow(video.currentTime));
  }

  #seek(seconds) {
    this.#isHeld = true;
    if (this.#isShown) this.page.video.currentTime = seconds;
    else this.#follow(seconds);
  }

  // Show the last result that is not later than the playback; pause where there is no result yet.
  #follow(seconds) {
    if (this.#results.length === 0) return;
    this.#position = seconds;
    if (!this.page.video.seeking) this.bar.moveTo(seconds); // else the bar is ahead
    const after = this.#results.findIndex((result) => result.seconds > seconds + 0.001);
    const result = this.#results.at(after === -1 ? -1 : Math.max(after - 1, 0));
    const isMissing = after === -1 && !this.#isDone;
    this.view.showMoment(isMissing && seconds > result.seconds + GONE ? { ...result, faces: [] } : result);
    if (isMissing && !this.page.video.paused) {
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
    this.page.annotate.hidden = frames === 0 || !this.client.canAnnotate;
    if (frames === 0) this.announcer.say("");
    else if (this.#isShown) this.announcer.say(`${file.name}: ${frames} frames.`);
    else this.announcer.say(`${file.name}: ${frames} frames. The browser cannot play this video; the annotated one can be played.`);
  }

  // Let the server draw the boxes into the video, and save the file.
  async #annotate() {
    const { annotate } = this.page;
    const [file, signal] = [this.#file, this.#abort.signal];
    annotate.disabled = true;
    this.announcer.say(`Drawing the faces into ${file.name}: about ${Math.max(Math.round(this.#took), 1)} s.`);
    try {
      const answer = await this.client.annotateVideo(file, this.#choice, { signal, onWait: (seconds) => this.#sayBusy(seconds) });
      const name = `${file.name.replace(/\.[^.]*$/, "")}-annotated.mp4`;
      save(await answer.blob(), name);
      const isWhole = answer.headers.get("X-Complete") !== "false";
      this.announcer.say(`${name} is saved${isWhole ? "" : "; it ends where the server stops"}.`);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.announcer.say("");
      this.announcer.warn(`${file.name}: ${error.message}`);
    } finally {
      annotate.disabled = false;
    }
  }

  #sayBusy(seconds) {
    this.announcer.say(`The server is busy; trying ${this.#file.name} again in ${Math.ceil(seconds)} s.`);
  }
}
