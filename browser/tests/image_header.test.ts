import assert from "node:assert/strict";
import { test } from "node:test";
import { readHeader } from "../src/image_header.js";

const text = (value: string) => [...value].map((letter) => letter.charCodeAt(0));

test("the size of every format is read before it is decoded", () => {
  const files: Record<string, number[]> = {
    "a JPEG image": [255, 216, 255, 224, 0, 4, 1, 2, 255, 192, 0, 17, 8, 1, 44, 1, 144, 3],
    "a PNG image": [...text("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13, ...text("IHDR"), 0, 0, 1, 144, 0, 0, 1, 44],
    "a GIF image": [...text("GIF89a"), 144, 1, 44, 1],
    "a BMP image": [...text("BM"), ...Array(12).fill(0), 40, 0, 0, 0, 144, 1, 0, 0, 212, 254, 255, 255],
    "a WebP image": [...text("RIFF\0\0\0\0WEBPVP8X"), ...Array(8).fill(0), 143, 1, 0, 43, 1, 0],
    "an AVIF image": [
      0,
      0,
      0,
      24,
      ...text("ftypavif"),
      ...Array(12).fill(0),
      ...text("ispe"),
      0,
      0,
      0,
      0,
      0,
      0,
      1,
      144,
      0,
      0,
      1,
      44,
      ...Array(16).fill(0),
    ],
  };
  for (const [kind, bytes] of Object.entries(files)) {
    assert.deepEqual(readHeader(Uint8Array.from(bytes)), { kind, isImage: true, size: { width: 400, height: 300 } });
  }
});

test("a file that ends before its size is left to the decoder", () => {
  for (const bytes of [[255, 216, 255, 224, 0, 200, 1], text("GIF89a"), text("BM"), text("RIFF\0\0\0\0WEBPVP8X")]) {
    assert.equal(readHeader(Uint8Array.from(bytes)).size, null);
  }
});

test("other files are named", () => {
  const kinds = {
    "%PDF-1.7": "a PDF document",
    "<svg xmlns": "an SVG drawing",
    " <!DOCTYPE html>": "a web page",
    "\0\0\0 ftypisom": "a video",
    hello: "not an image",
  };
  for (const [start, kind] of Object.entries(kinds))
    assert.deepEqual(readHeader(Uint8Array.from(text(start))), { kind, isImage: false, size: null });
  assert.equal(readHeader(new Uint8Array()).isImage, false);
});
