// Histograms of oriented gradients (Dalal and Triggs, 2005), as OpenCV's HOGDescriptor computes them with the settings of
// src/mien/inference/video/appearance.py: 48 x 48 pixels, 2 x 2 blocks of 2 x 2 cells with 8 signed directions.

import type { Plane } from "../planes.js";

const [SIDE, BLOCK, CELL, BINS] = [48, 24, 12, 8];
const CELLS = BLOCK / CELL;
const LIMIT = 0.2; // of a normalized value (L2-Hys)
const SIGMA = BLOCK / 4;
const ROOTS = Float32Array.from({ length: 256 }, (_, value) => Math.sqrt(value));

/** The description (128,) of a grey image of 48 x 48 pixels. */
export function describeEdges(head: Plane): Float32Array {
  const { size, bin, rest } = gradients(head);
  const length = CELLS * CELLS * BINS;
  const result = new Float32Array((SIDE / BLOCK) ** 2 * length);
  let start = 0;
  for (let left = 0; left < SIDE; left += BLOCK) {
    for (let top = 0; top < SIDE; top += BLOCK, start += length) {
      const histogram = result.subarray(start, start + length);
      for (const { x, y, cell, weight } of PLACES) {
        const at = (top + y) * SIDE + left + x;
        const value = weight * size[at];
        const first = cell * BINS;
        histogram[first + bin[at]] += value * (1 - rest[at]);
        histogram[first + ((bin[at] + 1) % BINS)] += value * rest[at];
      }
      normalize(histogram);
    }
  }
  return result;
}

/** For each pixel its gradient's length, the bin below its direction, and the share of the bin above. */
function gradients({ data }: Plane): { size: Float32Array; bin: Uint8Array; rest: Float32Array } {
  const [size, bin, rest] = [new Float32Array(SIDE * SIDE), new Uint8Array(SIDE * SIDE), new Float32Array(SIDE * SIDE)];
  const mirrored = (at: number) => (at < 0 ? 1 : at >= SIDE ? SIDE - 2 : at);
  for (let y = 0; y < SIDE; y += 1) {
    const [above, below] = [mirrored(y - 1) * SIDE, mirrored(y + 1) * SIDE];
    for (let x = 0; x < SIDE; x += 1) {
      const at = y * SIDE + x;
      const dx = ROOTS[data[y * SIDE + mirrored(x + 1)]] - ROOTS[data[y * SIDE + mirrored(x - 1)]];
      const dy = ROOTS[data[below + x]] - ROOTS[data[above + x]];
      const angle = Math.atan2(dy, dx);
      const place = ((angle < 0 ? angle + 2 * Math.PI : angle) * BINS) / (2 * Math.PI) - 0.5;
      const floor = Math.floor(place);
      [size[at], bin[at], rest[at]] = [Math.hypot(dx, dy), (floor + BINS) % BINS, place - floor];
    }
  }
  return { size, bin, rest };
}

/** Where the pixels of a block count: in up to four cells each, by distance from their centres and the block's. */
const PLACES = Array.from({ length: BLOCK * BLOCK }, (_, index) => {
  const [x, y] = [index % BLOCK, Math.floor(index / BLOCK)];
  const gauss = Math.exp(-((x - BLOCK / 2) ** 2 + (y - BLOCK / 2) ** 2) / (2 * SIGMA * SIGMA));
  const parts = (place: number) => {
    const exact = (place + 0.5) / CELL - 0.5;
    const floor = Math.floor(exact);
    return [
      [floor, 1 - exact + floor],
      [floor + 1, exact - floor],
    ].filter(([cell]) => cell >= 0 && cell < CELLS);
  };
  return parts(x).flatMap(([column, across]) =>
    parts(y).map(([row, down]) => ({ x, y, cell: column * CELLS + row, weight: across * down * gauss })),
  );
}).flat();

function normalize(histogram: Float32Array): void {
  const lengthOf = () => Math.sqrt(histogram.reduce((sum, value) => sum + value * value, 0));
  const first = 1 / (lengthOf() + histogram.length * 0.1);
  for (const [index, value] of histogram.entries()) histogram[index] = Math.min(value * first, LIMIT);
  const second = 1 / (lengthOf() + 1e-3);
  for (const [index, value] of histogram.entries()) histogram[index] = value * second;
}
