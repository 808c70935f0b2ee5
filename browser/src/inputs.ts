// What a page may give: models by address or content, images and frames in any form that the browser has.

import { MienError } from "./errors.js";
import type { ModelFile } from "./protocol.js";

/** A model file: its address, its content, or a file that the user has chosen. */
export type ModelSource = string | URL | ArrayBuffer | Uint8Array | Blob;
/** What `recognize` takes: a file's content, or whatever the browser can draw. */
export type ImageInput = Blob | HTMLImageElement | FrameInput;
/** What a stream takes. */
export type FrameInput = HTMLVideoElement | HTMLCanvasElement | OffscreenCanvas | ImageBitmap | ImageData | VideoFrame;

/** The time of the next frame that a video shows, in seconds; null at its end. */
export function nextFrame(video: HTMLVideoElement): Promise<number | null> {
  return new Promise((resolve) => {
    const end = () => resolve(null);
    if (video.ended) return end();
    video.addEventListener("ended", end, { once: true });
    video.requestVideoFrameCallback((_, { mediaTime }) => {
      video.removeEventListener("ended", end);
      resolve(mediaTime);
    });
  });
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
