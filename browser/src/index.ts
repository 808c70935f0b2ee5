// Facial expression recognition in a page. Images never leave it: a worker on this device finds and scores the faces.

import { DEFAULT_LIMITS, type Limits } from "./decoding.js";
import type { ModelCard } from "./card.js";
import type { DetectorOptions } from "./detector.js";
import { MienError, type ErrorKind } from "./errors.js";
import { NewestFrame, readVideo, toFrame, toModelFile, type FrameInput, type ImageInput, type ModelSource } from "./inputs.js";
import type { Answer, DetectorName, Loaded, ProcessedFrame, Reply, Request, StreamOptions } from "./protocol.js";
import type { FaceResult, FrameResult, ImageResult, TrackedFaceResult } from "./results.js";
import type { Backend } from "./runtime.js";

export { MienError };
export type {
  FrameInput,
  ImageInput,
  ModelSource,
  DetectorName,
  ErrorKind,
  FaceResult,
  FrameResult,
  ImageResult,
  Limits,
  ModelCard,
  ProcessedFrame,
  StreamOptions,
  TrackedFaceResult,
};

export interface LoadOptions extends DetectorOptions {
  /** An expression network that mien exported. */
  model: ModelSource;
  /** A face detector that mien trained; null: each image is one face. */
  detector: ModelSource | null;
  /** The folder with onnxruntime-web's files; default: `ort/` beside this script. */
  runtime?: string | URL;
  /** The worker's script; default: `mien-web.worker.js` beside this script. */
  worker?: string | URL;
  /** Default `auto`: WebGPU where it is there and faster, else WebAssembly. */
  backend?: Backend | "auto";
  /** Threads of WebAssembly where the page is cross-origin isolated; default: one per core, at most 4. */
  threads?: number;
  /** Drop boxes that the network rejects as non-faces; default true. */
  useRejection?: boolean;
}

export interface RecognizeOptions {
  /** The image's name in the result and in errors; default: the file's name. */
  source?: string;
  /** `none`: the image is one face. */
  detector?: DetectorName;
  /** The largest image; default 64 MiB and 25 million pixels. */
  limits?: Partial<Limits>;
}

const LONGEST_SIDE = 640; // of a stream's frames

/** A face detector and an expression network, in a worker of their own. */
export class Recognizer {
  #waiting = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();
  #lastId = 0;
  #lastStream = 0;
  #loaded: Loaded | null = null;
  readonly #worker: Worker;
  readonly #defaultDetector: DetectorName;

  private constructor(address: string | URL, detector: DetectorName) {
    this.#defaultDetector = detector;
    this.#worker = new Worker(address, { type: "module", name: "mien" });
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => this.#receive(data));
    this.#worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#fail(new MienError("browser", `The worker ${address} failed (${event.message || "it cannot be loaded"}).`));
    });
  }

  /** Load both networks; a `MienError` says what is missing or does not fit. */
  static async load(options: LoadOptions): Promise<Recognizer> {
    const { model, detector, smallestFace, budget, backend = "auto", threads = 0, useRejection = true } = options;
    const here = (path: string) => new URL(path, import.meta.url).href;
    const recognizer = new Recognizer(options.worker ?? here("mien-web.worker.js"), detector === null ? "none" : "mien");
    try {
      recognizer.#loaded = (await recognizer.#ask({
        type: "load",
        model: await toModelFile(model, "the model"),
        detector: detector === null ? null : await toModelFile(detector, "the detector"),
        detectorOptions: { smallestFace, budget },
        runtime: { folder: new URL(options.runtime ?? here("ort/"), document.baseURI).href, backend, threads },
        useRejection,
      })) as Loaded;
    } catch (error) {
      recognizer.close();
      throw error;
    }
    return recognizer;
  }

  /** What the expression network's file says about it: labels, input, scores. */
  get card(): ModelCard {
    return this.#ready.card;
  }

  /** What runs the expression network: `wasm` or `webgpu`. */
  get backend(): string {
    return this.#ready.backend;
  }

  get threads(): number {
    return this.#ready.threads;
  }

  /** The faces of one image, from left to right. Files are turned as their EXIF says. */
  async recognize(
    image: ImageInput,
    { source, detector = this.#defaultDetector, limits = {} }: RecognizeOptions = {},
  ): Promise<ImageResult> {
    const name = source ?? ("name" in image && typeof image.name === "string" && image.name ? image.name : "image");
    const given = image instanceof Blob ? image : await toFrame(image);
    const request: Request = { type: "recognize", image: given, source: name, limits: { ...DEFAULT_LIMITS, ...limits }, detector };
    return (await this.#ask(request, given instanceof Blob ? [] : [given])) as ImageResult;
  }

  /** Faces over time, of one camera or video: with tracker ids and smoothed probabilities. */
  stream(options: StreamOptions = {}): FaceStream {
    this.#lastStream += 1;
    return new FaceStream((request, transfer) => this.#ask(request, transfer), this.#lastStream, {
      detector: this.#defaultDetector,
      ...options,
    });
  }

  /** End the worker; requests in progress are rejected. */
  close(): void {
    this.#worker.terminate();
    this.#fail(new MienError("usage", "The recognizer is closed."));
  }

  get #ready(): Loaded {
    if (!this.#loaded) throw new MienError("usage", "The recognizer is not loaded.");
    return this.#loaded;
  }

  #ask(request: Request, transfer: Transferable[] = []): Promise<Answer> {
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, request }, transfer);
    });
  }

  #receive(reply: Reply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ("error" in reply) waiting?.reject(new MienError(reply.error.kind, reply.error.message));
    else waiting?.resolve(reply.answer);
  }

  #fail(error: MienError): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** The faces of one camera or video, frame by frame, never more than one frame in flight. */
export class FaceStream {
  #isBusy = false;
  #isClosed = false;
  readonly #started: Promise<Answer>;

  /** @internal */
  constructor(
    private readonly ask: (request: Request, transfer?: Transferable[]) => Promise<Answer>,
    private readonly id: number,
    options: StreamOptions,
  ) {
    this.#started = ask({ type: "start", stream: id, options });
    this.#started.catch(() => {}); // the first frame reports it
  }

  /** Whether the next frame can be processed. */
  get isReady(): boolean {
    return !this.#isBusy && !this.#isClosed;
  }

  /** The faces of the next frame; `time` in seconds from any fixed moment. Skip frames while it is not `isReady`. */
  process(frame: FrameInput, time: number): Promise<ProcessedFrame> {
    return this.#process(() => toFrame(frame), time);
  }

  /** Yields the faces of a playing video's newest frames, until it ends or the stream is closed. */
  async *watch(video: HTMLVideoElement): AsyncGenerator<ProcessedFrame> {
    const newest = new NewestFrame(video);
    try {
      for (;;) {
        const time = await newest.take();
        if (time === null || this.#isClosed) return;
        const frame = await readVideo(video);
        if (frame) yield await this.#process(async () => frame, time);
      }
    } finally {
      newest.close();
    }
  }

  async #process(read: () => Promise<ImageBitmap | VideoFrame>, time: number): Promise<ProcessedFrame> {
    if (this.#isClosed) throw new MienError("usage", "The stream is closed; start another one.");
    if (this.#isBusy) throw new MienError("usage", "A frame is still being processed; skip frames while isReady is false.");
    this.#isBusy = true;
    try {
      await this.#started;
      const frame = await read();
      return (await this.ask({ type: "process", stream: this.id, frame, time, longestSide: LONGEST_SIDE }, [frame])) as ProcessedFrame;
    } finally {
      this.#isBusy = false;
    }
  }

  close(): void {
    if (!this.#isClosed) this.ask({ type: "stop", stream: this.id }).catch(() => {});
    this.#isClosed = true;
  }
}
