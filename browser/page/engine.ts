// What the page recognizes with: this device. It has the methods of src/mien/apps/web/static/client.js, whose place it takes.

import {
  MienError,
  Recognizer,
  type DetectorName,
  type FaceStream,
  type FrameResult,
  type ImageResult,
  type StreamOptions,
} from "../src/index.js";
import { unsureBelow } from "../src/card.js";
import { Problem } from "./problem.js";

export { Recognizer }; // for the console, and for measurements

interface Choice {
  model: string | null;
  detector: DetectorName | null;
  smoothing?: StreamOptions["smoothing"];
}

interface Options {
  signal: AbortSignal;
}

/** The models that the page was built with, or that the user has opened: an address or a file, by name. */
declare const MODELS: Record<string, { url: string; licence: string | null }>;

const PAUSE_AFTER_ERROR = 200; // milliseconds
const DETECTORS: DetectorName[] = ["mien", "none"];
const AT = (path: string) => new URL(path, import.meta.url); // beside this script

export class Engine {
  readonly canAnnotate = false;
  readonly canRetry = false;
  readonly waiting = "Loading the networks…";
  key = "";
  readonly #sources = new Map<string, { model: URL | File; licence: string | null }>();
  readonly #loaded = new Map<string, Promise<Recognizer>>();

  constructor() {
    for (const [name, { url, licence }] of Object.entries(MODELS)) this.#sources.set(name, { model: AT(url), licence });
  }

  async models() {
    const models = [];
    for (const [name, { licence }] of this.#sources) {
      const { card } = await this.#recognizer(name);
      models.push({ name, labels: card.labels, unsure_threshold: unsureBelow(card), licence });
    }
    keepForOffline();
    return { models, detectors: DETECTORS };
  }

  async card(name: string) {
    return (await this.#recognizer(name)).card;
  }

  /** Use a model file of the user's own; returns the name by which it can be selected. */
  async addModel(file: File): Promise<string> {
    const name = file.name.replace(/\.onnx$/i, "");
    const loaded = await load(file).catch(report);
    const before = this.#loaded.get(name);
    this.#sources.set(name, { model: file, licence: null });
    this.#loaded.set(name, Promise.resolve(loaded));
    before?.then((recognizer) => recognizer.close()).catch(() => {});
    return name;
  }

  async recognizeImage(file: File, { model, detector }: Choice, { signal }: Options): Promise<ImageResult> {
    const recognizer = await this.#recognizer(model);
    signal.throwIfAborted();
    return recognizer.recognize(file, { detector: detector ?? undefined }).catch(report);
  }

  /** The results of the frames that this browser shows while it plays a video. */
  async *recognizeVideo(file: File, { model, ...choice }: Choice, { signal }: Options): AsyncGenerator<FrameResult> {
    const recognizer = await this.#recognizer(model);
    const video = document.createElement("video");
    const address = URL.createObjectURL(file);
    const stream = recognizer.stream(toOptions(choice));
    const stop = () => {
      stream.close();
      video.removeAttribute("src");
      video.load();
    };
    signal.addEventListener("abort", stop);
    try {
      await start(video, address);
      yield* stream.watch(video);
    } catch (error) {
      report(error);
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
      URL.revokeObjectURL(address);
    }
  }

  async annotateVideo(): Promise<never> {
    throw new Problem(501, "This page cannot draw into videos; use the command or the server.");
  }

  /** A connection for the frames of a camera. */
  connect(settings: Choice): Connection {
    return new Connection(settings, (model) => this.#recognizer(model));
  }

  #recognizer(name: string | null): Promise<Recognizer> {
    const known = name ?? [...this.#sources.keys()][0];
    const source = this.#sources.get(known);
    if (!source) throw new Problem(422, `No model named '${known}' is loaded.`);
    const loaded = this.#loaded.get(known) ?? load(source.model).catch(report);
    this.#loaded.set(known, loaded);
    loaded.catch(() => this.#loaded.delete(known)); // the next try loads it again
    return loaded;
  }
}

/** Frames of a camera, one at a time; events as those of src/mien/apps/web/static/live.js. */
class Connection extends EventTarget {
  #stream: FaceStream | null = null;
  #isClaimed = false;
  #notBefore = 0;
  #isClosed = false;

  constructor(
    public settings: Choice,
    private readonly recognizer: (model: string | null) => Promise<Recognizer>,
  ) {
    super();
    this.#open().then(
      () => this.dispatchEvent(new Event("ready")),
      (error: unknown) => this.#reportProblem(error),
    );
  }

  get isReady(): boolean {
    return this.#stream !== null && !this.#isClaimed && !this.#isClosed && performance.now() >= this.#notBefore;
  }

  /** Claim the connection for the next frame. */
  claim(): void {
    this.#isClaimed = true;
  }

  /** Recognize the frame it was claimed for, captured at a time in milliseconds; returns the settings that it is recognized with. */
  async send(time: number, camera: { video: HTMLVideoElement }): Promise<Choice> {
    this.#process(time, camera.video);
    return this.settings;
  }

  change(settings: Choice): void {
    this.settings = settings;
    this.#open().catch((error: unknown) => this.#reportProblem(error));
  }

  close(): void {
    this.#isClosed = true;
    this.#stream?.close();
  }

  async #open(): Promise<void> {
    const { model, ...choice } = this.settings;
    const recognizer = await this.recognizer(model);
    this.#stream?.close();
    this.#stream = recognizer.stream(toOptions(choice));
    this.#isClaimed = false;
  }

  async #process(time: number, video: HTMLVideoElement): Promise<void> {
    const stream = this.#stream;
    try {
      const result = await stream?.process(video, time / 1000);
      if (this.#isClosed || stream !== this.#stream) return;
      this.#isClaimed = false;
      this.dispatchEvent(new CustomEvent("frame", { detail: { ...result, time } }));
    } catch (error) {
      if (this.#isClosed || stream !== this.#stream) return;
      this.#isClaimed = false;
      this.#notBefore = performance.now() + PAUSE_AFTER_ERROR;
      const isEarly = error instanceof MienError && error.kind === "image"; // the camera has no frame yet
      if (!isEarly) this.#reportProblem(error);
    }
  }

  #reportProblem(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.dispatchEvent(new CustomEvent("problem", { detail: { text, status: 0 } }));
  }
}

function load(model: URL | File): Promise<Recognizer> {
  return Recognizer.load({ model, detector: AT("models/mien.onnx"), runtime: AT("ort/"), worker: AT("mien-web.worker.js") });
}

/** Throw an error as a `Problem`; 422 means that another image may do better. */
function report(error: unknown): never {
  if (!(error instanceof MienError)) throw error;
  const status = { image: 422, model: 422, usage: 500, browser: 501 }[error.kind];
  throw new Problem(status, error.message);
}

function toOptions({ detector, smoothing }: Omit<Choice, "model">): StreamOptions {
  return { ...(detector ? { detector } : {}), smoothing };
}

/** Play a video without showing it; a `Problem` if the browser cannot. */
async function start(video: HTMLVideoElement, address: string): Promise<void> {
  video.muted = true;
  video.playsInline = true;
  video.src = address;
  await video.play().catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(422, "This browser cannot play the video; convert it to MP4 (H.264) or WebM.");
  });
}

/** Keep the page for times without a network, where the browser allows it. */
function keepForOffline(): void {
  navigator.serviceWorker?.register(new URL("service-worker.js", document.baseURI)).catch(() => {}); // without https, the page works all the same
}
