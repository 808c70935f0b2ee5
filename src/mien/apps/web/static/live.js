// Camera frames over one WebSocket: never more than one in flight, and a new connection when one is lost.

const FIRST_PAUSE = 0.5; // seconds before the first try to connect again; doubles up to
const LONGEST_PAUSE = 15;
const PATIENCE = 10; // seconds to wait for an answer
const PAUSE_WHEN_BUSY = 1;
const PAUSE_AFTER_ERROR = 0.2;
const TIMESTAMP_BYTES = 8;

// Events: "ready", "frame" (detail: the answer), "problem" (detail: { text, status }), "lost" (detail: seconds to the next try).
export class LiveConnection extends EventTarget {
  #socket = null;
  #isInFlight = true; // until the server is ready for the first frame
  #pause = FIRST_PAUSE;
  #timer = null;
  #notBefore = 0;

  constructor(settings, key = "") {
    super();
    this.settings = settings;
    this.key = key;
    this.#connect();
  }

  get isReady() {
    return this.#socket?.readyState === WebSocket.OPEN && !this.#isInFlight && performance.now() >= this.#notBefore;
  }

  // Claim the connection for the next frame, so that no other is prepared meanwhile.
  claim() {
    this.#isInFlight = true;
    this.#watch();
  }

  // Send the frame it was claimed for: the time of its capture in milliseconds (big-endian float64), then the image file.
  // Returns the settings that it is recognized with.
  async send(time, camera) {
    const bytes = await camera.grab();
    const { settings } = this;
    if (this.#socket?.readyState !== WebSocket.OPEN) return settings;
    const message = new Uint8Array(TIMESTAMP_BYTES + bytes.byteLength);
    new DataView(message.buffer).setFloat64(0, time);
    message.set(new Uint8Array(bytes), TIMESTAMP_BYTES);
    this.#socket.send(message);
    return settings;
  }

  change(settings) {
    this.settings = settings;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#sendJson({ type: "settings", settings });
  }

  close() {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  #connect() {
    const address = new URL("v1/live", document.baseURI);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    this.#socket = socket;
    this.#isInFlight = true;
    this.#watch();
    socket.addEventListener("open", () => {
      const key = this.key ? { key: this.key } : {}; // a browser's WebSocket cannot send headers
      this.#sendJson({ type: "start", settings: this.settings, ...key });
    });
    socket.addEventListener("message", (event) => this.#receive(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      if (this.#socket === socket) this.#connectLater();
    });
  }

  #connectLater() {
    clearTimeout(this.#timer);
    this.#socket = null;
    // random, so that pages that lost the same server do not all return at once
    const seconds = this.#pause * (0.8 + 0.4 * Math.random());
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    this.dispatchEvent(new CustomEvent("lost", { detail: seconds }));
    this.#timer = setTimeout(() => this.#connectWhenVisible(), 1000 * seconds);
  }

  // A hidden page has no frames to send, and the server would close the connection again.
  #connectWhenVisible() {
    if (!document.hidden) this.#connect();
    else this.#timer = setTimeout(() => this.#connectWhenVisible(), 1000);
  }

  #receive(answer) {
    clearTimeout(this.#timer);
    this.#isInFlight = false;
    if (answer.type === "ready") {
      this.dispatchEvent(new Event("ready"));
    } else if (answer.type === "frame") {
      this.#pause = FIRST_PAUSE;
      this.dispatchEvent(new CustomEvent("frame", { detail: answer }));
    } else if (answer.type === "error") {
      const { status, detail } = answer.problem;
      this.#notBefore = performance.now() + 1000 * (status === 429 ? PAUSE_WHEN_BUSY : PAUSE_AFTER_ERROR);
      this.dispatchEvent(new CustomEvent("problem", { detail: { text: detail, status } }));
    }
  }

  #watch() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#socket?.close();
      this.#connectLater();
    }, 1000 * PATIENCE);
  }

  #sendJson(message) {
    this.#socket.send(JSON.stringify(message));
  }
}
