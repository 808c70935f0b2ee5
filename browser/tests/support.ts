// What the tests read: the contract that Python writes, and the images beside it.

import { readFileSync } from "node:fs";
import { inflateSync } from "node:zlib";
import * as ort from "onnxruntime-web";
import { MienDetector } from "../src/detector.js";
import { ExpressionNetwork } from "../src/expression_network.js";
import { Pipeline } from "../src/pipeline.js";
import type { Plane } from "../src/planes.js";
import type { OrtModule, Runtime } from "../src/runtime.js";

const ASSETS = "../src/mien/assets";

export const golden = JSON.parse(readFileSync("golden/golden.json", "utf-8"));

export function readModel(name: string): Uint8Array {
  return new Uint8Array(readFileSync(`${ASSETS}/${name}.onnx`));
}

export function runtime(): Runtime {
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  return { ort: ort as OrtModule, backends: ["wasm"] };
}

export async function makePipeline(model: string): Promise<Pipeline> {
  const detector = await MienDetector.load(runtime(), readModel("detectors/mien"), "mien.onnx");
  return new Pipeline(await ExpressionNetwork.load(runtime(), readModel(model), `${model}.onnx`), detector);
}

/** An image of the contract: a PNG of 8 bits without filters. */
export function readImage(name: string): Plane {
  const file = readFileSync(`golden/${name}.png`);
  const parts: Buffer[] = [];
  let [width, height, kind] = [0, 0, 0];
  for (let at = 8; at < file.length; ) {
    const [length, type] = [file.readUInt32BE(at), file.toString("latin1", at + 4, at + 8)];
    const content = file.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") [width, height, kind] = [content.readUInt32BE(0), content.readUInt32BE(4), content[9]];
    if (type === "IDAT") parts.push(content);
    at += 12 + length;
  }
  const channels = kind === 2 ? 3 : 1;
  const rows = inflateSync(Buffer.concat(parts));
  const data = new Uint8Array(width * height * channels);
  for (let y = 0, stride = width * channels; y < height; y += 1) {
    if (rows[y * (stride + 1)] !== 0) throw new Error(`${name}.png has filters`);
    data.set(rows.subarray(y * (stride + 1) + 1, (y + 1) * (stride + 1)), y * stride);
  }
  return { data, width, height, channels };
}

/** `wave` of lab/golden.py. */
export function wave(width: number, height: number): Plane {
  const data = new Uint8Array(3 * width * height);
  for (let y = 0, at = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, at += 3) {
      data[at] = (Math.floor((x * x) / 9) + y * 3) % 256;
      data[at + 1] = Math.floor((x * y) / 7) % 256;
      data[at + 2] = (x * 2 + Math.floor((y * y) / 5)) % 256;
    }
  }
  return { data, width, height, channels: 3 };
}

/** The largest difference between two lists of numbers. */
export function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let most = 0;
  for (let at = 0; at < a.length; at += 1) most = Math.max(most, Math.abs(a[at] - b[at]));
  return most;
}
