// The contract that Python writes (lab/golden.py): the same boxes, crops, logits, levels and streams.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Detection } from "../src/boxes.js";
import { DEFAULT_CROP } from "../src/card.js";
import { cropFace, resizeFace } from "../src/crop.js";
import { levels } from "../src/face_maps.js";
import { MienDetector } from "../src/detector.js";
import { ExpressionNetwork } from "../src/expression_network.js";
import { readDetectorCard } from "../src/card.js";
import type { Pipeline } from "../src/pipeline.js";
import { toGrey, type Plane } from "../src/planes.js";
import type { FaceResult, TrackedFaceResult } from "../src/results.js";
import { cutWindow } from "../src/video/appearance.js";
import { assign } from "../src/video/assignment.js";
import { FaceStream } from "../src/video/face_stream.js";
import { measureShift } from "../src/video/motion.js";
import { Smoother, type SmoothingMode } from "../src/video/smoothing.js";
import { apart, golden, makePipeline, readImage, readModel, runtime, wave } from "./support.js";

const [PIXELS, PROBABILITY] = [2, 0.01]; // how far apart results may be
let pipeline: Pipeline;

before(async () => {
  pipeline = await makePipeline(golden.model);
});
after(() => setTimeout(() => process.exit(), 100)); // onnxruntime-web keeps Node running

function assertSameFaces(ours: FaceResult[], theirs: FaceResult[], where = ""): void {
  assert.equal(ours.length, theirs.length, `faces${where}`);
  for (const [index, face] of ours.entries()) {
    const other = theirs[index];
    assert.deepEqual(Object.keys(face).sort(), Object.keys(other).sort());
    for (const side of ["x", "y", "width", "height"] as const)
      assert.ok(Math.abs(face[side] - other[side]) <= PIXELS, `${side}${where}: ${face[side]}, ${other[side]}`);
    assert.ok(Math.abs(face.roll - other.roll) < 1 && Math.abs(face.score - other.score) < PROBABILITY, `roll and score${where}`);
    const difference = apart(Object.values(face.probabilities), Object.values(other.probabilities));
    assert.ok(difference <= PROBABILITY, `probabilities${where} differ by ${difference}`);
    assert.deepEqual([face.label, face.unsure], [other.label, other.unsure], `label${where}`);
  }
}

test("levels agree with Python's to the bit", () => {
  const card = readDetectorCard(readModel("detectors/mien"), "mien.onnx");
  const ours = [...levels(toGrey(readImage("scene")), card, 24, 4_000_000)];
  assert.deepEqual(
    ours.map(({ scale }) => scale),
    golden.scales,
  );
  for (const [number, { image }] of ours.entries()) assert.equal(apart(image.data, readImage(`level${number}`).data), 0, `level ${number}`);
});

test("crops of any size and roll agree with Python's to the bit", () => {
  for (const { size, box, roll, side, pixels } of golden.resampling) {
    const ours = resizeFace(cropFace(wave(size[0], size[1]), box, DEFAULT_CROP, roll), side);
    assert.equal(apart(ours.data, pixels), 0, JSON.stringify(box));
  }
});

test("detections, and the crops of Python's detections, are the same", async () => {
  const scene = readImage("scene");
  const found = (await pipeline.detect(scene)).sort((a, b) => a.box.x - b.box.x);
  const theirs: Detection[] = [...golden.detections].sort((a: Detection, b: Detection) => a.box.x - b.box.x);
  assert.equal(found.length, theirs.length);
  for (const [index, { box }] of found.entries()) assert.ok(apart(Object.values(box), Object.values(theirs[index].box)) < 0.5);
  for (const [number, detection] of (golden.detections as Detection[]).entries()) {
    assert.equal(apart(pipeline.crop(scene, detection).data, readImage(`crop${number}`).data), 0, `crop ${number}`);
  }
});

for (const name of Object.keys(golden.logits)) {
  test(`${name} gives Python's logits`, async () => {
    const network = await ExpressionNetwork.load(runtime(), readModel(name), name);
    const scores = await network.score((golden.logits[name] as number[][]).map((_, number) => readImage(`crop${number}`)));
    const { temperature, labels } = network.card;
    for (const [row, { probabilities }] of scores.entries()) {
      const powers = golden.logits[name][row].slice(0, labels.length).map((logit: number) => Math.exp(logit / temperature));
      const total = powers.reduce((sum: number, power: number) => sum + power, 0);
      assert.ok(
        apart(
          probabilities,
          powers.map((power: number) => power / total),
        ) < 1e-3,
      );
    }
  });
}

test("an image gives Python's result", async () => {
  const ours = await pipeline.recognize(readImage("scene"), "scene.png");
  assertSameFaces(ours.faces, golden.scene.faces);
  assert.deepEqual({ ...ours, faces: [] }, { ...golden.scene, faces: [] });
});

test("without a detector the image is the face", async () => {
  const [face] = (await pipeline.withoutDetector().recognize(readImage("sprite0"), "sprite")).faces;
  assert.deepEqual([face.x, face.y, face.width, face.height, face.score], [0, 0, 90, 90, 1]);
});

/** A frame of the stream, as `stream_frame` of lab/golden.py draws it. */
function streamFrame(index: number): Plane {
  const { cut, bar, drawn } = golden.stream;
  const background = readImage("background");
  const { width, height } = background;
  const frame = { ...background, data: new Uint8Array(background.data) };
  if (index >= cut)
    for (let y = 0; y < height; y += 1)
      frame.data.set(background.data.subarray(3 * (height - 1 - y) * width, 3 * (height - y) * width), 3 * y * width);
  for (const [number, x, y] of drawn[index]) {
    const sprite = number < 0 ? null : readImage(`sprite${number}`);
    for (let row = 0; row < (sprite?.height ?? height); row += 1) {
      const start = 3 * ((y + row) * width + x);
      if (sprite) frame.data.set(sprite.data.subarray(3 * row * sprite.width, 3 * (row + 1) * sprite.width), start);
      else frame.data.fill(bar[1], start, start + 3 * Math.min(bar[0], width - x));
    }
  }
  return frame;
}

test("a stream with a covered face and a cut gives Python's tracks and smoothed probabilities", async () => {
  const stream = new FaceStream(pipeline);
  for (const [index, theirs] of golden.stream.results.entries()) {
    const ours = await stream.process(streamFrame(index), index / golden.stream.rate);
    const where = ` in frame ${index}`;
    const tracks = (faces: TrackedFaceResult[]) => faces.map(({ track, seen }) => [track, seen]);
    assert.deepEqual(tracks(ours.faces), tracks(theirs.faces), where);
    assertSameFaces(ours.faces, theirs.faces, where);
    assert.deepEqual([ours.frame, ours.time, ours.shares], [theirs.frame, theirs.time, theirs.shares], where);
  }
});

test("smoothing agrees in every mode", () => {
  const { probabilities, times, smoothed } = golden.smoothing;
  for (const [mode, rows] of Object.entries(smoothed)) {
    const smoother = new Smoother(mode as SmoothingMode);
    for (const [index, row] of (rows as number[][]).entries())
      assert.ok(apart(smoother.update(probabilities[index], times[index]), row) < 1e-8, mode);
  }
});

test("appearance, movement and assignment are those of the Python tracker", () => {
  const { box, embedding, shift, costs, pairs } = golden.tracking;
  const [first, second] = [streamFrame(0), streamFrame(1)].map((frame) => cutWindow(frame, box));
  const likeness = first.embedding.reduce((sum, value, index) => sum + value * embedding[index], 0);
  assert.ok(likeness > 0.995, `${likeness}`);
  const ours = measureShift(first, second);
  assert.ok(ours && apart([ours.x, ours.y, ours.growth], shift) < 0.05, JSON.stringify(ours));
  assert.deepEqual(assign(costs), pairs);
});

test("a detector's file is refused as a model, and a model's as a detector", async () => {
  await assert.rejects(ExpressionNetwork.load(runtime(), readModel("detectors/mien"), "mien.onnx"), /no mien model card/);
  await assert.rejects(MienDetector.load(runtime(), readModel("default-int8"), "default"), /no card of a mien face detector/);
});
