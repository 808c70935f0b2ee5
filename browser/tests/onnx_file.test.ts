import assert from "node:assert/strict";
import { test } from "node:test";
import { readModelCard } from "../src/card.js";
import { readMetadata } from "../src/onnx_file.js";
import { readModel } from "./support.js";

/** A protocol buffer's field that holds bytes. */
function field(number: number, content: Uint8Array | string): Uint8Array {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return Uint8Array.from([...varint(number * 8 + 2), ...varint(bytes.length), ...bytes]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function withCard(card: object | string): Uint8Array {
  const text = typeof card === "string" ? card : JSON.stringify(card);
  return field(14, Uint8Array.from([...field(1, "mien"), ...field(2, text)]));
}

const CARD = {
  format: 1,
  name: "tiny",
  network: "tiny",
  labels: ["happy", "sad"],
  crop: { scale: 1, shift_x: 0, shift_y: 0.02 },
  input: { size: 48, channels: 1, mean: 0.5, std: 0.25, is_grey: false },
};

test("the cards of the shipped files are read", () => {
  const card = readModelCard(readModel("default-int8"), "default");
  assert.equal(card.labels.length, 7);
  assert.ok(card.temperature > 0 && card.input.size >= 8);
});

test("a card is read among other fields, with its defaults", () => {
  const file = Uint8Array.from([8, 150, 1, ...field(7, "a graph"), 29, 1, 2, 3, 4, ...withCard(CARD)]);
  const card = readModelCard(file, "tiny.onnx");
  assert.deepEqual([card.temperature, card.reject_threshold, card.unsure_threshold], [1, null, null]);
});

test("what is not an ONNX file is refused in one line", () => {
  const garbage = [
    new TextEncoder().encode("<html>not a model</html>"),
    Uint8Array.of(114, 255, 255, 255, 255, 15),
    new Uint8Array(40).fill(255),
    readModel("default-int8").subarray(0, 5000),
  ];
  for (const data of garbage) assert.throws(() => readMetadata(data, "a.onnx"), /a\.onnx is not an ONNX file/);
});

test("a file without a card, or with one that does not fit, is named with its field", () => {
  assert.throws(() => readModelCard(new Uint8Array(), "a.onnx"), /no mien model card/);
  assert.throws(() => readModelCard(withCard("{"), "a.onnx"), /not JSON/);
  assert.throws(() => readModelCard(withCard({ ...CARD, format: 2 }), "a.onnx"), /format 1/);
  const wrong = [
    { labels: ["one", "one"] },
    { input: { ...CARD.input, size: 4096 } },
    { input: { ...CARD.input, channels: 2 } },
    { input: { ...CARD.input, std: 0 } },
    { crop: { scale: 0 } },
    { temperature: 0 },
    { reject_threshold: 7 },
  ];
  for (const fields of wrong)
    assert.throws(() => readModelCard(withCard({ ...CARD, ...fields }), "a.onnx"), /a\.onnx: the card's \S+.* cannot be used/);
});
