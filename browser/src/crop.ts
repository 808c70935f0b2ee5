// From a face box to a network's input: the counterpart of src/mien/core/image.py.
//
// Coordinates are continuous: pixel i covers [i, i + 1), so a box around the whole image is (0, 0, w, h).

import { centreOf, type Box } from "./boxes.js";
import type { CropSpec, InputSpec } from "./card.js";
import { MienError } from "./errors.js";
import { enlarge, newPlane, reduce, rounded, toGrey, toRgb, type Plane } from "./planes.js";

const LEAST_ROLL = 10; // degrees: heads turned by less are cropped as they are
const LARGEST_CROP = 1024;
const STEPS = 32; // positions between two pixels, as OpenCV's warpAffine has them

/** By how many degrees a detected head is turned upright before it is classified: `roll`, or 0 if small. */
export function rollToUndo(roll: number): number {
  return Math.abs(roll) >= LEAST_ROLL ? roll : 0;
}

/** The square that `cropFace` cuts, before it is turned around its centre by `roll` degrees. */
export function cutSquare(box: Box, crop: CropSpec, roll = 0): { x: number; y: number; side: number } {
  const side = crop.scale * Math.sqrt(Math.max(box.width, 0) * Math.max(box.height, 0));
  const [x, y] = centreOf(box);
  if (!(Number.isFinite(side) && side > 0 && Number.isFinite(x + y + roll))) {
    throw new MienError("image", "The face box is not a rectangle; expected finite numbers and positive sides.");
  }
  const [cosine, sine] = turn(roll);
  const shiftX = crop.shift_x * cosine - crop.shift_y * sine;
  const shiftY = crop.shift_x * sine + crop.shift_y * cosine;
  return { x: x + shiftX * side - side / 2, y: y + shiftY * side - side / 2, side };
}

/** Cut the square around a face box, and turn the face upright: RGB, or grey if the image is, of at most 1024 pixels a side. */
export function cropFace(image: Plane, box: Box, crop: CropSpec, roll = 0): Plane {
  const { x, y, side } = cutSquare(box, crop, roll);
  const n = Math.min(Math.max(rounded(side), 1), LARGEST_CROP);
  const [cosine, sine] = turn(roll);
  const extent = side * (Math.abs(cosine) + Math.abs(sine)); // of the turned square
  let region = image;
  let [x0, y0, fx, fy] = [0, 0, 1, 1];
  if (side > LARGEST_CROP) {
    // bilinear sampling alone would alias
    const [left, right] = span(x - (extent - side) / 2, extent, image.width);
    const [top, bottom] = span(y - (extent - side) / 2, extent, image.height);
    const [width, height] = [Math.ceil(((right - left) * n) / side), Math.ceil(((bottom - top) * n) / side)];
    region = reduce(part(image, left, top, right - left, bottom - top), width, height);
    [x0, y0, fx, fy] = [left, top, width / (right - left), height / (bottom - top)];
  }
  const step = side / n;
  const corner = (step - side) / 2; // of the crop's first pixel's centre from the square's
  const firstX = x - x0 + step / 2 + (cosine - 1) * corner - sine * corner;
  const firstY = y - y0 + step / 2 + (cosine - 1) * corner + sine * corner;
  return warp(
    region,
    n,
    [cosine * step * fx, -sine * step * fx, firstX * fx - 0.5],
    [sine * step * fy, cosine * step * fy, firstY * fy - 0.5],
  );
}

/** Resize a face crop to a network's size and channels; for a network trained on grey images, its colour is removed. */
export function fitFace(face: Plane, spec: InputSpec): Plane {
  const grey = spec.is_grey || spec.channels === 1 ? toGrey(face) : face;
  const sized = resizeFace(grey, spec.size);
  return spec.channels === 3 && sized.channels === 1 ? toRgb(sized) : sized;
}

/** Reduce by pixel area where a side is longer, then enlarge bilinearly where one is shorter. */
export function resizeFace(face: Plane, size: number): Plane {
  let image = face;
  if (Math.max(image.width, image.height) > size) image = reduce(image, Math.min(image.width, size), Math.min(image.height, size));
  if (Math.min(image.width, image.height) < size) image = enlarge(image, size, size);
  return image;
}

/** Faces as a network takes them: (n, channels, size, size), normalized. `faces` come from `fitFace`. */
export function toBatch(faces: Plane[], spec: InputSpec): Float32Array {
  const area = spec.size * spec.size;
  const batch = new Float32Array(faces.length * spec.channels * area);
  for (const [row, face] of faces.entries()) {
    for (let channel = 0; channel < spec.channels; channel += 1) {
      const start = (row * spec.channels + channel) * area;
      for (let at = 0, from = channel; at < area; at += 1, from += face.channels) {
        batch[start + at] = (face.data[from] / 255 - spec.mean) / spec.std;
      }
    }
  }
  return batch;
}

/**
 * Sample n x n pixels bilinearly at the 32nds of pixels that OpenCV rounds to; outside, border pixels are repeated.
 * `across` and `down` give x and y in the image, counted at pixel centres, from (column, row, 1).
 */
function warp(image: Plane, n: number, across: number[], down: number[]): Plane {
  const { data, width, height, channels } = image;
  const kept = channels === 1 ? 1 : 3;
  const result = newPlane(n, n, kept);
  const fine = (value: number): number => rounded(value * 1024);
  const columns = Array.from({ length: n }, (_, column) => [fine(across[0] * column), fine(down[0] * column)]);
  for (let row = 0, at = 0; row < n; row += 1) {
    const startX = fine(across[1] * row + across[2]) + 16;
    const startY = fine(down[1] * row + down[2]) + 16;
    for (const [stepX, stepY] of columns) {
      const [x, y] = [(startX + stepX) >> 5, (startY + stepY) >> 5];
      const [u, v] = [x & (STEPS - 1), y & (STEPS - 1)];
      const [left, right] = [within(x >> 5, width) * channels, within((x >> 5) + 1, width) * channels];
      const [upper, lower] = [within(y >> 5, height) * width * channels, within((y >> 5) + 1, height) * width * channels];
      for (let channel = 0; channel < kept; channel += 1, at += 1) {
        const top = (STEPS - u) * data[upper + left + channel] + u * data[upper + right + channel];
        const bottom = (STEPS - u) * data[lower + left + channel] + u * data[lower + right + channel];
        result.data[at] = ((STEPS - v) * top + v * bottom + 512) >> 10;
      }
    }
  }
  return result;
}

function within(at: number, length: number): number {
  return at < 0 ? 0 : at >= length ? length - 1 : at;
}

/** The pixels that [start, start + side) covers, plus one on each side, within the image; never empty. */
function span(start: number, side: number, length: number): [number, number] {
  const first = Math.min(Math.max(Math.floor(start) - 1, 0), length - 1);
  return [first, Math.max(Math.min(Math.ceil(start + side) + 1, length), first + 1)];
}

function part(image: Plane, left: number, top: number, width: number, height: number): Plane {
  const { data, channels } = image;
  const cut = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y += 1) {
    const start = ((top + y) * image.width + left) * channels;
    cut.set(data.subarray(start, start + width * channels), y * width * channels);
  }
  return { data: cut, width, height, channels };
}

function turn(roll: number): [number, number] {
  const angle = (roll * Math.PI) / 180;
  return [Math.cos(angle), Math.sin(angle)];
}
