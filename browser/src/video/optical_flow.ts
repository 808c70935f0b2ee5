// Pyramidal Lucas-Kanade (Bouguet, 2001), as OpenCV's calcOpticalFlowPyrLK computes it with windows of 13 x 13 pixels on
// three levels: the same integers, so that tracks agree with those of the Python package.

import type { Plane } from "../planes.js";

const SIZE = 13; // of a window
const HALF = (SIZE - 1) / 2;
const LEVELS = 3;
const [STEPS, PRECISION] = [30, 0.01];
const LEAST_EIGENVALUE = 1e-4;
const SCALE = 1 / 2 ** 20; // of sums of products of gradients

/** A grey image at one scale, with a border of `SIZE` pixels; the gradients are 0 there. */
interface Level {
  width: number;
  height: number;
  stride: number;
  grey: Uint8Array;
  across: Int16Array;
  down: Int16Array;
}

export type Pyramid = Level[];

export interface Followed {
  points: Float64Array; // x, y, x, y, ...
  isFound: boolean[];
}

/** The scales of an image to follow points in. */
export function makePyramid(image: Plane): Pyramid {
  const pyramid: Level[] = [];
  let [data, width, height] = [image.data as Uint8Array, image.width, image.height];
  for (let level = 0; level < LEVELS; level += 1) {
    pyramid.push(makeLevel(data, width, height));
    if (Math.min((width + 1) >> 1, (height + 1) >> 1) <= SIZE) break;
    [data, width, height] = [reduced(data, width, height), (width + 1) >> 1, (height + 1) >> 1];
  }
  return pyramid;
}

/** Where the points of one image are in another, and which of them were found. */
export function follow(before: Pyramid, after: Pyramid, points: Float64Array): Followed {
  const found = new Float64Array(points.length);
  const isFound = Array.from({ length: points.length / 2 }, () => true);
  for (let level = before.length - 1; level >= 0; level -= 1) {
    const factor = 1 / 2 ** level;
    for (let index = 0; index < isFound.length; index += 1) {
      const [x, y] = [points[2 * index] * factor, points[2 * index + 1] * factor];
      const isTop = level === before.length - 1;
      const start: [number, number] = isTop ? [x, y] : [2 * found[2 * index], 2 * found[2 * index + 1]];
      const [place, isGood] = followPoint(before[level], after[level], [x, y], start);
      [found[2 * index], found[2 * index + 1]] = place;
      if (level === 0 && !isGood) isFound[index] = false;
    }
  }
  return { points: found, isFound };
}

const patch = new Int32Array(SIZE * SIZE);
const patchAcross = new Int32Array(SIZE * SIZE);
const patchDown = new Int32Array(SIZE * SIZE);

/** Follow one point on one level, from a guess; returns its place, and whether it can be trusted. */
function followPoint(before: Level, after: Level, point: [number, number], guess: [number, number]): [[number, number], boolean] {
  const corner: [number, number] = [point[0] - HALF, point[1] - HALF];
  if (!isWithin(before, corner)) return [guess, false];
  const [xx, xy, yy] = cutPatch(before, corner);
  const determinant = xx * yy - xy * xy;
  const least = (yy + xx - Math.sqrt((xx - yy) ** 2 + 4 * xy * xy)) / (2 * SIZE * SIZE);
  if (least < LEAST_EIGENVALUE || determinant < 1.1920929e-7) return [guess, false];
  let [x, y] = [guess[0] - HALF, guess[1] - HALF];
  let place: [number, number] = guess;
  let [lastX, lastY] = [0, 0];
  for (let step = 0; step < STEPS; step += 1) {
    if (!isWithin(after, [x, y])) return [place, false];
    const [bx, by] = difference(after, [x, y]);
    const [dx, dy] = [(xy * by - yy * bx) / determinant, (xy * bx - xx * by) / determinant];
    [x, y] = [x + dx, y + dy];
    place = [x + HALF, y + HALF];
    if (dx * dx + dy * dy <= PRECISION * PRECISION) break;
    if (step > 0 && Math.abs(dx + lastX) < PRECISION && Math.abs(dy + lastY) < PRECISION) {
      place = [place[0] - dx / 2, place[1] - dy / 2];
      break;
    }
    [lastX, lastY] = [dx, dy];
  }
  return [place, true];
}

function isWithin({ width, height }: Level, [x, y]: [number, number]): boolean {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  return column >= -SIZE && column < width && row >= -SIZE && row < height;
}

/** Weights of the four pixels around a place, as 14-bit integers, and where the first is. */
function weightsAt(level: Level, [x, y]: [number, number]): [number, number, number, number, number] {
  const [column, row] = [Math.floor(x), Math.floor(y)];
  const [u, v] = [x - column, y - row];
  const [a, b, c] = [Math.round((1 - u) * (1 - v) * 16384), Math.round(u * (1 - v) * 16384), Math.round((1 - u) * v * 16384)];
  return [a, b, c, 16384 - a - b - c, (row + SIZE) * level.stride + column + SIZE];
}

/** Fill `patch` and its gradients, and return the sums of the gradients' products. */
function cutPatch(level: Level, corner: [number, number]): [number, number, number] {
  const { grey, across, down, stride } = level;
  const [a, b, c, d, first] = weightsAt(level, corner);
  let [xx, xy, yy] = [0, 0, 0];
  for (let row = 0, to = 0; row < SIZE; row += 1) {
    for (let at = first + row * stride, end = at + SIZE; at < end; at += 1, to += 1) {
      const below = at + stride;
      patch[to] = (a * grey[at] + b * grey[at + 1] + c * grey[below] + d * grey[below + 1] + 256) >> 9;
      const dx = (a * across[at] + b * across[at + 1] + c * across[below] + d * across[below + 1] + 8192) >> 14;
      const dy = (a * down[at] + b * down[at + 1] + c * down[below] + d * down[below + 1] + 8192) >> 14;
      [patchAcross[to], patchDown[to]] = [dx, dy];
      xx += dx * dx;
      xy += dx * dy;
      yy += dy * dy;
    }
  }
  return [xx * SCALE, xy * SCALE, yy * SCALE];
}

/** The sums of the products of the patch's gradients with what has changed at a place. */
function difference(level: Level, place: [number, number]): [number, number] {
  const { grey, stride } = level;
  const [a, b, c, d, first] = weightsAt(level, place);
  let [bx, by] = [0, 0];
  for (let row = 0, from = 0; row < SIZE; row += 1) {
    for (let at = first + row * stride, end = at + SIZE; at < end; at += 1, from += 1) {
      const below = at + stride;
      const change = ((a * grey[at] + b * grey[at + 1] + c * grey[below] + d * grey[below + 1] + 256) >> 9) - patch[from];
      bx += change * patchAcross[from];
      by += change * patchDown[from];
    }
  }
  return [bx * SCALE, by * SCALE];
}

function mirrored(at: number, length: number): number {
  return at < 0 ? -at : at >= length ? 2 * length - 2 - at : at;
}

function makeLevel(data: Uint8Array, width: number, height: number): Level {
  const stride = width + 2 * SIZE;
  const count = stride * (height + 2 * SIZE);
  const level = { width, height, stride, grey: new Uint8Array(count), across: new Int16Array(count), down: new Int16Array(count) };
  for (let y = -SIZE, at = 0; y < height + SIZE; y += 1) {
    const line = mirrored(y, height) * width;
    for (let x = -SIZE; x < width + SIZE; x += 1, at += 1) level.grey[at] = data[line + mirrored(x, width)];
  }
  // Scharr's gradients
  const { grey, across, down } = level;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0, at = (y + SIZE) * stride + SIZE; x < width; x += 1, at += 1) {
      const [above, below] = [at - stride, at + stride];
      across[at] = 3 * (grey[above + 1] - grey[above - 1] + grey[below + 1] - grey[below - 1]) + 10 * (grey[at + 1] - grey[at - 1]);
      down[at] = 3 * (grey[below - 1] - grey[above - 1] + grey[below + 1] - grey[above + 1]) + 10 * (grey[below] - grey[above]);
    }
  }
  return level;
}

/** Half the size, after a Gaussian blur of 5 x 5 pixels. */
function reduced(data: Uint8Array, width: number, height: number): Uint8Array {
  const [columns, rows] = [(width + 1) >> 1, (height + 1) >> 1];
  const result = new Uint8Array(columns * rows);
  const line = new Int32Array(width);
  for (let y = 0, at = 0; y < rows; y += 1) {
    const [a, b, c, d, e] = [-2, -1, 0, 1, 2].map((step) => mirrored(2 * y + step, height) * width);
    for (let x = 0; x < width; x += 1) line[x] = data[a + x] + data[e + x] + 4 * (data[b + x] + data[d + x]) + 6 * data[c + x];
    for (let x = 0; x < columns; x += 1, at += 1) {
      const place = (step: number) => line[mirrored(2 * x + step, width)];
      result[at] = (place(-2) + place(2) + 4 * (place(-1) + place(1)) + 6 * place(0) + 128) >> 8;
    }
  }
  return result;
}
