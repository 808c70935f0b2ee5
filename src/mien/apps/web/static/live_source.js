// The camera as a source: has its frames recognized, shows the results and their delay.

import { Camera } from "./camera.js";
import { percent, readResult } from "./expressions.js";

const ON = "The camera is on. Frames are not stored.";
const PACE_SPAN = 2000; // milliseconds that delay and frames/s are measured over
const PACE_EVERY = 500;

// Event: "ended", when the camera is gone.
export class LiveSource extends EventTarget {
  #connection = null;
  #frame = null;
  #started = 0;
  #sentAt = 0;
  #sentWith = null; // the settings for the frame in flight
  #pace = [];
  #paceAt = 0;
  #hasProblem = false;

  constructor({ page, view, announcer, session, client }) {
    super();
    Object.assign(this, { page, view, announcer, session, client });
    this.camera = new Camera(page.video);
    this.camera.addEventListener("frame", (event) => this.#take(event.detail));
    this.camera.addEventListener("ended", () => this.#end());
    document.addEventListener("visibilitychange", () => this.isOn && this.#showWhetherHidden());
    page.video.addEventListener("resize", () => this.isOn && this.#shape()); // a phone was rotated
  }

  get isOn() {
    return this.camera.isOn;
  }

  // Start the camera and send frames; an Error's message is for the user.
  async start(settings, deviceId) {
    this.announcer.say("Waiting for the camera…");
    if (!(await this.camera.start(deviceId))) return;
    this.view.reset();
    this.#shape();
    this.page.video.controls = false;
    this.page.frame.classList.add("selectable");
    this.#started = performance.now();
    this.#pace = [];
    this.#connect(settings);
    this.page.pace.hidden = false;
  }

  stop() {
    this.#connection?.close();
    this.#connection = null;
    this.camera.stop();
    this.#frame = null;
    this.page.pace.hidden = true;
    this.page.frame.classList.remove("selectable");
  }

  change(settings) {
    this.#connection?.change(settings);
  }

  #connect(settings) {
    const connection = this.client.connect(settings);
    this.#connection = connection;
    this.#hasProblem = false;
    connection.addEventListener("ready", () => {
      this.announcer.warn("");
      this.announcer.say(ON);
    });
    connection.addEventListener("frame", (event) => this.#show(event.detail, connection));
    connection.addEventListener("problem", (event) => this.#showProblem(event.detail));
    connection.addEventListener("lost", (event) => {
      this.view.overlay.show(null, null);
      const seconds = Math.max(1, Math.round(event.detail));
      this.announcer.warn(`The connection to the server is lost. Trying again in ${seconds} s; the camera stays on.`);
    });
  }

  // Browsers show a hidden page no frames.
  #showWhetherHidden() {
    this.announcer.say(document.hidden ? "Paused while this tab is hidden; it continues when you come back." : ON);
  }

  #shape() {
    const { videoWidth, videoHeight } = this.page.video;
    this.view.setStage("video", videoWidth, videoHeight);
    this.view.setMirrored(this.page.mirror.checked);
  }

  #take(frame) {
    this.#frame = frame;
    this.#sendNext();
  }

  // Send the newest frame if the last one has been answered.
  async #sendNext() {
    const connection = this.#connection;
    const frame = this.#frame;
    if (!frame || !connection?.isReady) return;
    this.#frame = null;
    if (frame.time <= this.#sentAt) return; // time only runs forward
    this.#sentAt = frame.time;
    connection.claim();
    this.#sentWith = await connection.send(frame.time, this.camera);
  }

  #show(answer, connection) {
    if (connection !== this.#connection || !this.isOn) return;
    if (this.#hasProblem) this.announcer.warn("");
    this.#hasProblem = false;
    const seconds = Math.max(0, (answer.time - this.#started) / 1000);
    const result = readResult(answer, "camera", seconds);
    this.session.add(result, this.#sentWith);
    this.view.timeline.add(result);
    this.view.showMoment(result);
    this.#showPace(answer.time, answer.worker_ms);
    this.#sendNext();
  }

  #showProblem({ text, status }) {
    this.#hasProblem = true;
    this.announcer.warn(status === 429 ? "The server is busy; some frames are skipped." : text);
  }

  // `work`: how long a worker of this page took, in milliseconds, if one did.
  #showPace(captured, work) {
    // the boxes just drawn appear with the next repaint
    requestAnimationFrame(() => {
      const now = performance.now();
      this.#pace.push({ at: now, delay: now - captured, work });
      while (this.#pace[0].at < now - PACE_SPAN) this.#pace.shift();
      if (now - this.#paceAt < PACE_EVERY) return;
      this.#paceAt = now;
      const delays = this.#pace.map((one) => one.delay).sort((a, b) => a - b);
      const span = (now - this.#pace[0].at) / 1000;
      this.page.delay.textContent = `${Math.round(delays[delays.length >> 1])} ms`;
      this.page.rate.textContent = span > 0 ? ((this.#pace.length - 1) / span).toFixed(0) : "-";
      if (work === undefined || span === 0) return;
      const busy = this.#pace.slice(1).reduce((sum, one) => sum + one.work, 0) / 1000 / span;
      this.page["busy-row"].hidden = false;
      this.page.busy.textContent = percent(Math.min(busy, 1));
    });
  }

  #end() {
    this.stop();
    this.view.setStage(null);
    this.announcer.say("");
    this.announcer.warn("The camera was unplugged, or another program uses it. Connect it and start it again.");
    this.dispatchEvent(new Event("ended"));
  }
}
