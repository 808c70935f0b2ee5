// What a page may give: models by address or content, images and frames in any form that the browser has.

import { MienError } from "./errors.js";
import type { ModelFile } from "./protocol.js";

/** A model file: its address, its content, or a file that the user has chosen. */
export type ModelSource = string | URL | ArrayBuffer | Uint8Array | Blob;
/** What `recognize` takes: a file's content, or whatever the browser can draw. */
export type ImageInput = Blob | HTMLImageElement | FrameInput;
/** What a stream takes. */
export type FrameInput = HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas | ImageBitmap | ImageData | VideoFrame;

/** The newest frame that a video has shown and that nobody has taken yet. */
export class NewestFrame {
  #time: number | null = null;
  #isOver = false;
  #wake = () => {};
  readonly #end = () => {
    this.#isOver = true;
    this.#wake();
  };

  constructor(private readonly video: HTMLVideoElement) {
    if (video.ended) this.#end();
    video.addEventListener("ended", this.#end);
    this.#listen();
  }

  /** Its time in seconds, as soon as there is one; null at the end of the video. */
  async take(): Promise<number | null> {
    if (this.#time === null && !this.#isOver) await new Promise<void>((resolve) => (this.#wake = resolve));
    const time = this.#time;
    this.#time = null;
    return time;
  }

  close(): void {
    this.video.removeEventListener("ended", this.#end);
    this.#end();
  }

  #listen(): void {
    this.video.requestVideoFrameCallback((_, { mediaTime }) => {
      if (this.#isOver) return;
      this.#time = mediaTime;
      this.#wake();
      this.#listen();
    });
  }
}

export async function toFrame(image: HTMLImageElement | FrameInput): Promise<ImageBitmap | VideoFrame> {
  if (typeof VideoFrame === "function" && image instanceof VideoFrame) return image.clone();
  const frame = await (image instanceof HTMLVideoElement ? readVideo(image) : createImageBitmap(image).catch(() => null));
  if (frame === null) throw new MienError("image", "The image has no pixels yet; wait until it is loaded, or until the video plays.");
  return frame;
}

/** A video's frame; null for a moment after a camera has started. */
export async function readVideo(video: HTMLVideoElement): Promise<ImageBitmap | VideoFrame | null> {
  try {
    return new VideoFrame(video); // without a copy of its pixels
  } catch {
    return createImageBitmap(video).catch(() => null);
  }
}

export async function toModelFile(source: ModelSource, name: string): Promise<ModelFile> {
  if (typeof source === "string" || source instanceof URL) return { url: new URL(source, document.baseURI).href };
  if (source instanceof Blob)
    return { data: await source.arrayBuffer(), name: "name" in source && typeof source.name === "string" ? source.name : name };
  // a copy: what is sent to a worker must not be a view of something larger
  return { data: source instanceof Uint8Array ? (source.slice().buffer as ArrayBuffer) : source, name };
}
