// What a file holds and how many pixels it claims, by its first bytes: before a browser decodes it.

export interface ImageHeader {
  /** The format's name, or what else the file is, with its article: "a PDF document". */
  kind: string;
  isImage: boolean;
  /** Pixels as claimed; null: unknown before decoding. */
  size: { width: number; height: number } | null;
}

type Reader = (data: DataView) => { width: number; height: number } | null;

const STARTS: [number[] | string, string, Reader | null][] = [
  [[0xff, 0xd8, 0xff], "a JPEG image", jpegSize],
  ["\x89PNG\r\n\x1a\n", "a PNG image", (data) => ({ width: data.getUint32(16), height: data.getUint32(20) })],
  ["GIF8", "a GIF image", (data) => ({ width: data.getUint16(6, true), height: data.getUint16(8, true) })],
  ["BM", "a BMP image", bmpSize],
  ["II*\0", "a TIFF image", null],
  ["MM\0*", "a TIFF image", null],
  [[0xff, 0x0a], "a JPEG XL image", null],
  ["\0\0\0\x0cJXL ", "a JPEG XL image", null],
  ["\0\0\0\x0cjP  ", "a JPEG 2000 image", null],
];
const OTHERS: [string, string][] = [
  ["%PDF", "a PDF document"],
  ["PK\x03\x04", "a ZIP archive"],
  ["\x1aE\xdf\xa3", "a video"],
  ["8BPS", "a Photoshop document"],
  ["<svg", "an SVG drawing"],
  ["<!doctype html", "a web page"],
  ["<html", "a web page"],
];

/** Read the beginning of a file. */
export function readHeader(bytes: Uint8Array): ImageHeader {
  const begin = String.fromCharCode(...bytes.subarray(0, 64));
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [start, kind, reader] of STARTS) {
    const text = typeof start === "string" ? start : String.fromCharCode(...start);
    if (begin.startsWith(text)) return { kind, isImage: true, size: reader && attempt(() => reader(data)) };
  }
  if (begin.startsWith("RIFF") && begin.startsWith("WEBP", 8))
    return { kind: "a WebP image", isImage: true, size: attempt(() => webpSize(data, begin)) };
  if (begin.startsWith("ftyp", 4)) return isoHeader(data, begin);
  const other = OTHERS.find(([start]) => begin.trimStart().toLowerCase().startsWith(start.toLowerCase()));
  return { kind: other?.[1] ?? "not an image", isImage: false, size: null };
}

/** AVIF, HEIC and videos: boxes of ISO media files. */
function isoHeader(data: DataView, begin: string): ImageHeader {
  const brands = begin.slice(8, 48);
  if (/avif|avis/.test(brands)) return { kind: "an AVIF image", isImage: true, size: attempt(() => avifSize(data)) };
  if (/hei[cxms]|hev[cxms]/.test(brands)) return { kind: "a HEIC image", isImage: true, size: null };
  return { kind: "a video", isImage: false, size: null };
}

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null; // it ends before its size; decoding says what is wrong
  }
}

/** The size in a JPEG's frame header, behind segments of any length. */
function jpegSize(data: DataView): { width: number; height: number } | null {
  for (let at = 2; data.getUint8(at) === 0xff; ) {
    const marker = data.getUint8(at + 1);
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { width: data.getUint16(at + 7), height: data.getUint16(at + 5) };
    }
    at += 2 + data.getUint16(at + 2);
  }
  return null;
}

function bmpSize(data: DataView): { width: number; height: number } {
  if (data.getUint32(14, true) === 12) return { width: data.getUint16(18, true), height: data.getUint16(20, true) };
  return { width: Math.abs(data.getInt32(18, true)), height: Math.abs(data.getInt32(22, true)) };
}

function webpSize(data: DataView, begin: string): { width: number; height: number } | null {
  const three = (at: number) => data.getUint16(at, true) + data.getUint8(at + 2) * 65536;
  if (begin.startsWith("VP8X", 12)) return { width: three(24) + 1, height: three(27) + 1 };
  if (begin.startsWith("VP8 ", 12)) return { width: data.getUint16(26, true) & 0x3fff, height: data.getUint16(28, true) & 0x3fff };
  if (!begin.startsWith("VP8L", 12)) return null;
  const bits = data.getUint32(21, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

/** The largest of the sizes (`ispe`) that an AVIF file's items have. */
function avifSize(data: DataView): { width: number; height: number } | null {
  const [end, ispe] = [Math.min(data.byteLength - 16, 65536), 0x69737065];
  let size: { width: number; height: number } | null = null;
  for (let at = 0; at < end; at += 1) {
    if (data.getUint32(at) !== ispe) continue;
    const [width, height] = [data.getUint32(at + 8), data.getUint32(at + 12)];
    if (!size || width * height > size.width * size.height) size = { width, height };
  }
  return size;
}
