// The metadata of an .onnx file, which onnxruntime-web does not return.
//
// The file is a protocol buffer (onnx.proto): of ModelProto, field 14 (metadata_props) is read and everything else is
// skipped, so a large file costs no more than its number of fields.

import { MienError } from "./errors.js";

const METADATA_PROPS = 14;
const [KEY, VALUE] = [1, 2];
const LARGEST_CARD = 2 ** 20; // bytes
const EXTERNAL_WEIGHT = [10, 8, ...new TextEncoder().encode("location"), 18]; // TensorProto.external_data

/** The metadata of the file by key; values of more than 1 MiB are left out. Throws a `MienError` if it is not ONNX. */
export function readMetadata(data: Uint8Array, source: string): Map<string, string> {
  const found = new Map<string, string>();
  try {
    for (const entry of messages(data, METADATA_PROPS)) {
      if (entry.length > LARGEST_CARD) continue;
      const [key] = messages(entry, KEY);
      const [value] = messages(entry, VALUE);
      if (key) found.set(text(key), value ? text(value) : "");
    }
  } catch {
    throw new MienError("model", `${source} is not an ONNX file, or it is damaged; expected a file that mien exported.`);
  }
  return found;
}

/** Whether the file keeps weights in another one, which a page must not fetch. */
export function hasExternalWeights(data: Uint8Array): boolean {
  return contains(data, EXTERNAL_WEIGHT);
}

/** Whether bytes occur in a file. */
export function contains(data: Uint8Array, bytes: number[]): boolean {
  for (let at = data.indexOf(bytes[0]); at !== -1; at = data.indexOf(bytes[0], at + 1)) {
    if (bytes.every((byte, index) => data[at + index] === byte)) return true;
  }
  return false;
}

/** Yields the values of one field: messages, texts and bytes. Throws a `RangeError` beyond the end. */
function* messages(data: Uint8Array, number: number): Generator<Uint8Array> {
  let at = 0;
  while (at < data.length) {
    let key: number;
    [key, at] = varint(data, at);
    const kind = key & 7;
    if (kind === 2) {
      let length: number;
      [length, at] = varint(data, at);
      if (at + length > data.length) throw new RangeError("a field is longer than the file");
      if (key >>> 3 === number) yield data.subarray(at, at + length);
      at += length;
    } else if (kind === 0) {
      [, at] = varint(data, at);
    } else if (kind === 1 || kind === 5) {
      at += kind === 1 ? 8 : 4;
    } else {
      throw new RangeError("a field of an unknown type");
    }
  }
  if (at > data.length) throw new RangeError("a field is longer than the file");
}

/** A number in groups of 7 bits, lowest first, and the position behind it. */
function varint(data: Uint8Array, start: number): [number, number] {
  let value = 0;
  for (let at = start, factor = 1; at < Math.min(data.length, start + 10); at += 1, factor *= 128) {
    value += (data[at] & 127) * factor;
    if (data[at] < 128) return [value, at + 1];
  }
  throw new RangeError("a number does not end");
}

function text(bytes: Uint8Array): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
}
