// What a tracked face looks like: enough to follow it, and to re-identify it a few seconds later. This distinguishes the
// faces of one scene; it is not face recognition. The counterpart of src/mien/inference/video/appearance.py.

import { centreOf, type Box } from "../boxes.js";
import type { CropSpec } from "../card.js";
import { cropFace, resizeFace } from "../crop.js";
import { newPlane, reduce, toGrey, type Plane } from "../planes.js";
import { describeEdges } from "./edges.js";

export const WINDOW = 64; // a window's side in pixels
export const REACH = 1.6; // and in the frame, as a multiple of sqrt(width * height) of the face box
const MIN_SAMPLED = 96; // larger windows are subsampled by 2, 3, ... to a side of 96 to 192 pixels
const SQUARE: CropSpec = { scale: REACH, shift_x: 0, shift_y: 0 };
const HEAD = 6; // window pixels around the head, described by its edges,
const FACE = 14; // and around the face, described by its colours
const HEAD_SIZE = 48;
const BINS = 6; // per colour channel

/** The square around a face: grey 64 x 64, its place in the frame, and its appearance. */
export interface Window {
  grey: Plane;
  embedding: Float32Array;
  left: number;
  top: number;
  side: number;
}

/** How similar the faces in two windows look: -0.5 to 1. */
export function similarity(a: Window, b: Window): number {
  return a.embedding.reduce((sum, value, index) => sum + value * b.embedding[index], 0);
}

/** Cut the window around a face box from a frame. Beyond the frame, its border is repeated. */
export function cutWindow(frame: Plane, box: Box): Window {
  const side = REACH * Math.sqrt(box.width * box.height);
  const step = Math.max(Math.floor(side / MIN_SAMPLED), 1);
  const middle = (step - 1) / 2; // of the pixels that one sample stands for
  const sampled = { x: (box.x - middle) / step, y: (box.y - middle) / step, width: box.width / step, height: box.height / step };
  const colours = resizeFace(cropFace(step === 1 ? frame : subsample(frame, step, box, side), sampled, SQUARE), WINDOW);
  const grey = toGrey(colours);
  const [x, y] = centreOf(box);
  return { grey, embedding: embed(colours, grey), left: x - side / 2, top: y - side / 2, side };
}

/** Every `step`-th pixel of a frame; only those around the box are filled in. */
function subsample(frame: Plane, step: number, box: Box, side: number): Plane {
  const [width, height] = [Math.ceil(frame.width / step), Math.ceil(frame.height / step)];
  const result = newPlane(width, height, 3);
  const [x, y] = centreOf(box);
  const range = (middle: number, length: number) =>
    [middle - side / 2, middle + side / 2].map((place, end) => Math.min(Math.max(Math.floor(place / step) + (end ? 3 : -3), 0), length));
  const [[left, right], [top, bottom]] = [range(x, width), range(y, height)];
  const [first, last] = [Math.min(left, width - 1), Math.max(right, 1)];
  for (let row = Math.min(top, height - 1); row < Math.max(bottom, 1); row += 1) {
    for (let column = first, at = 3 * (row * width + first); column < last; column += 1, at += 3) {
      const from = (row * step * frame.width + column * step) * frame.channels;
      for (let channel = 0; channel < 3; channel += 1) result.data[at + channel] = frame.data[from + channel];
    }
  }
  return result;
}

/** The edges of the head and the colours of the face: a vector of length 1 at most. */
function embed(colours: Plane, grey: Plane): Float32Array {
  const edges = describeEdges(reduce(part(grey, HEAD), HEAD_SIZE, HEAD_SIZE));
  const mean = edges.reduce((sum, value) => sum + value, 0) / edges.length;
  const length = Math.max(Math.hypot(...edges.map((value) => value - mean)), 1e-6);
  const counts = countColours(colours);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const embedding = new Float32Array(edges.length + counts.length);
  for (const [index, value] of edges.entries()) embedding[index] = (value - mean) / length / Math.SQRT2;
  for (const [index, count] of counts.entries()) embedding[edges.length + index] = Math.sqrt(count / total) / Math.SQRT2;
  return embedding;
}

function countColours({ data, width }: Plane): Int32Array {
  const counts = new Int32Array(BINS ** 3);
  for (let y = FACE; y < WINDOW - FACE; y += 1) {
    for (let at = 3 * (y * width + FACE), end = 3 * (y * width + WINDOW - FACE); at < end; at += 3) {
      const [red, green, blue] = [data[at], data[at + 1], data[at + 2]];
      counts[(((red * BINS) >> 8) * BINS + ((green * BINS) >> 8)) * BINS + ((blue * BINS) >> 8)] += 1;
    }
  }
  return counts;
}

function part(grey: Plane, margin: number): Plane {
  const side = grey.width - 2 * margin;
  const cut = newPlane(side, side, 1);
  for (let y = 0; y < side; y += 1) {
    const start = (y + margin) * grey.width + margin;
    cut.data.set(grey.data.subarray(start, start + side), y * side);
  }
  return cut;
}
