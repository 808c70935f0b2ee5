// From what a page has to pixels: files, frames of videos, canvases.

import { MienError } from "./errors.js";
import { readHeader } from "./image_header.js";
import type { Plane } from "./planes.js";

/** The largest image to decode, checked before it is decoded. */
export interface Limits {
  bytes: number;
  pixels: number;
}

export const DEFAULT_LIMITS: Limits = { bytes: 64 * 2 ** 20, pixels: 25_000_000 };

/** The pixels of an image file, upright as its EXIF says; `source` is its name in errors. */
export async function decodeFile(file: Blob, source: string, limits: Limits): Promise<Plane> {
  if (file.size === 0) throw new MienError("image", `${source} is empty (0 bytes); expected an image.`);
  if (file.size > limits.bytes)
    throw new MienError("image", `${source} is larger than ${limits.bytes / 2 ** 20} MiB; use a smaller image.`);
  const { kind, isImage, size } = readHeader(new Uint8Array(await file.arrayBuffer()));
  if (!isImage) throw new MienError("image", `${source} is ${kind}; expected an image, such as JPEG, PNG or WebP.`);
  if (size) checkSize(size, source, limits);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch {
    const isCommon = /JPEG image|PNG|GIF|BMP|WebP/.test(kind);
    throw new MienError(
      "image",
      `${source} is ${kind} that ${isCommon ? "is damaged or truncated" : "this browser cannot read; save it as JPEG or PNG"}.`,
    );
  }
  checkSize(bitmap, source, limits);
  return readBitmap(bitmap, bitmap.width, bitmap.height);
}

/** The pixels of a frame, reduced to a longest side; it is closed. */
export async function decodeFrame(frame: ImageBitmap | VideoFrame, longestSide: number): Promise<Plane> {
  const [width, height] = "displayWidth" in frame ? [frame.displayWidth, frame.displayHeight] : [frame.width, frame.height];
  const scale = Math.min(1, longestSide / Math.max(width, height));
  if ("displayWidth" in frame && scale === 1) {
    const plane = await copyFrame(frame);
    if (plane) return plane;
  }
  return readBitmap(frame, Math.max(Math.round(width * scale), 1), Math.max(Math.round(height * scale), 1));
}

function checkSize({ width, height }: { width: number; height: number }, source: string, limits: Limits): void {
  if (width * height <= limits.pixels) return;
  const [has, most] = [Math.round((width * height) / 1e6), limits.pixels / 1e6];
  throw new MienError("image", `${source} has ${has} million pixels, more than ${most} million; use a smaller image.`);
}

let pen: OffscreenCanvasRenderingContext2D | null = null;

/** Draw an image on white, and read it; the image is closed. */
function readBitmap(image: ImageBitmap | VideoFrame, width: number, height: number): Plane {
  if (pen?.canvas.width !== width || pen.canvas.height !== height) {
    pen = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, willReadFrequently: true });
  }
  if (!pen) throw new MienError("browser", "This browser cannot read the pixels of an image; use a newer one.");
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, width, height);
  pen.drawImage(image, 0, 0, width, height);
  image.close();
  const { data } = pen.getImageData(0, 0, width, height);
  return { data, width, height, channels: 4 };
}

/** Copy a frame's pixels without a canvas; null where the browser cannot, or where the frame has to be turned. */
async function copyFrame(frame: VideoFrame): Promise<Plane | null> {
  const { codedWidth, codedHeight, displayWidth: width, displayHeight: height } = frame;
  const { rotation = 0, flip = false } = frame as { rotation?: number; flip?: boolean };
  if (rotation || flip || codedWidth !== width || codedHeight !== height) return null;
  try {
    const data = new Uint8Array(width * height * 4);
    await frame.copyTo(data, { format: "RGBA", colorSpace: "srgb" } as VideoFrameCopyToOptions);
    frame.close();
    return { data, width, height, channels: 4 };
  } catch {
    return null;
  }
}
