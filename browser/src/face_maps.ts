// From an image to the levels that a face detection network sees, and from its maps to faces: the counterpart of
// src/mien/core/face_maps.py, where the maps are described.

import type { DetectorCard } from "./card.js";
import { enlarge, halve, newPlane, reduce, rounded, type Plane } from "./planes.js";

/** A detection network: a level, grey -> maps (6, h / 8, w / 8). */
export type Run = (level: Plane) => Promise<Maps>;

export interface Maps {
  data: Float32Array;
  rows: number;
  columns: number;
}

/** A face: the centre and side of its square in pixels, its score, and the head's roll in degrees. */
export interface FaceRow {
  cx: number;
  cy: number;
  side: number;
  score: number;
  roll: number;
}

export interface Level {
  image: Plane;
  scale: number; // pixels of the level per pixel of the image
  offset: number; // the border's width on the left and above
}

export interface FindOptions {
  smallestFace: number;
  budget: number;
  leastScore: number;
}

const BORDER = 16; // pixels around a level, so that faces at the image's border are seen
const SHORTEST_SIDE = 16; // of a level without its border
const LARGEST_SCALE = 2;
const SAME_OVERLAP = 0.3; // two boxes are one face if their intersection is a larger part of their union,
const SAME_COVER = 0.7; // or a larger part of the smaller box
const SAME_SIZE = 1.5; // boxes of one face are averaged if their sides differ by a smaller factor
const MOST_ROWS = 10_000; // bounds the time of `suppress`

/** The scale of the first level of an image; see `levels`. */
export function firstScale(width: number, height: number, card: DetectorCard, smallestFace: number, budget: number): number {
  const wanted = Math.min(card.smallest_side / smallestFace, LARGEST_SCALE);
  // (h * scale + around) * (w * scale + around) = budget
  const [pixels, around] = [width * height, 2 * BORDER + card.stride];
  const half = (around * (width + height)) / 2;
  const affordable = (Math.sqrt(half ** 2 + pixels * Math.max(budget - around ** 2, 0)) - half) / pixels;
  return Math.min(wanted, affordable);
}

/** Yields the image at the scale at which its smallest faces are found, then at half, a quarter ... */
export function* levels(grey: Plane, card: DetectorCard, smallestFace: number, budget: number): Generator<Level> {
  let scale = firstScale(grey.width, grey.height, card, smallestFace, budget);
  if (Math.min(grey.width, grey.height) * scale < SHORTEST_SIDE) return;
  let level = grey;
  if (scale !== 1) {
    const [width, height] = [rounded(grey.width * scale), rounded(grey.height * scale)];
    level = (scale < 1 ? reduce : enlarge)(grey, width, height, [1 / scale, 1 / scale]);
  }
  while (Math.min(level.width, level.height) >= SHORTEST_SIDE) {
    yield { image: withBorder(level), scale, offset: BORDER };
    [level, scale] = [halve(level), scale / 2];
  }
}

/** The faces in a level's maps: one for each cell with at least a score, and a side within the card's. */
export function readFaces(maps: Maps, scale: number, offset: number, card: DetectorCard, leastScore: number): FaceRow[] {
  const least = (Math.log(leastScore / (1 - leastScore)) - card.offset) / card.slope;
  const cells = maps.rows * maps.columns;
  const [low, high] = card.sides;
  const faces: FaceRow[] = [];
  for (let cell = 0; cell < cells; cell += 1) {
    if (!(maps.data[cell] >= least)) continue;
    const [logit, dx, dy, size, sine, cosine] = [0, 1, 2, 3, 4, 5].map((map) => maps.data[map * cells + cell]);
    const side = card.side * Math.exp(clip(size, -10, 10));
    const face = {
      cx: (card.stride * ((cell % maps.columns) + 0.5 + dx) - offset) / scale,
      cy: (card.stride * (Math.floor(cell / maps.columns) + 0.5 + dy) - offset) / scale,
      side: side / scale,
      score: 1 / (1 + Math.exp(-clip(card.slope * logit + card.offset, -50, 50))),
      roll: (Math.atan2(sine, cosine) * 180) / Math.PI,
    };
    if (side > low && side < high && Object.values(face).every(Number.isFinite)) faces.push(face);
  }
  return faces;
}

/** One row per face (non-maximum suppression), best score first; see the Python function of the same name. */
export function suppress(found: FaceRow[]): FaceRow[] {
  let rows = [...found].sort((a, b) => b.score - a.score).slice(0, MOST_ROWS);
  const kept: FaceRow[] = [];
  while (rows.length) {
    const best = rows[0];
    const same = rows.filter((row) => row === best || isSame(best, row));
    const group = same.filter(({ side }) => side > best.side / SAME_SIZE && side < best.side * SAME_SIZE);
    const total = group.reduce((sum, row) => sum + row.score, 0);
    const mean = (name: "cx" | "cy" | "side"): number => group.reduce((sum, row) => sum + row.score * row[name], 0) / total;
    kept.push({ ...best, cx: mean("cx"), cy: mean("cy"), side: mean("side") });
    const taken = new Set(same);
    rows = rows.filter((row) => !taken.has(row));
  }
  return kept;
}

/** The faces of a grey image, best first; `run` is called once per level. */
export async function findFaces(grey: Plane, run: Run, card: DetectorCard, options: FindOptions): Promise<FaceRow[]> {
  const rows: FaceRow[] = [];
  for (const { image, scale, offset } of levels(grey, card, options.smallestFace, options.budget)) {
    rows.push(...readFaces(await run(image), scale, offset, card, options.leastScore));
  }
  // a centre outside of the image is that of a reflection in the border
  return suppress(rows.filter(({ cx, cy }) => cx >= 0 && cx <= grey.width && cy >= 0 && cy <= grey.height));
}

function isSame(a: FaceRow, b: FaceRow): boolean {
  const smaller = Math.min(a.side, b.side);
  // a box inside another shares no more than its own side
  const across = Math.min((a.side + b.side) / 2 - Math.abs(a.cx - b.cx), smaller);
  const down = Math.min((a.side + b.side) / 2 - Math.abs(a.cy - b.cy), smaller);
  const shared = Math.max(across, 0) * Math.max(down, 0);
  const least = (SAME_OVERLAP / (1 + SAME_OVERLAP)) * (a.side ** 2 + b.side ** 2);
  return shared > Math.min(least, SAME_COVER * smaller ** 2);
}

/** A level with its border, and enough below and on the right to make both sides multiples of 8. */
function withBorder({ data, width, height }: Plane): Plane {
  const [below, right] = [BORDER + ((8 - (height % 8)) % 8), BORDER + ((8 - (width % 8)) % 8)];
  // a reflection must not be longer than what it reflects
  const at = Math.min(height, width) > Math.max(below, right) ? reflected : repeated;
  const result = newPlane(width + BORDER + right, height + BORDER + below, 1);
  const columns = Int32Array.from({ length: result.width }, (_, x) => at(x - BORDER, width));
  for (let y = 0; y < result.height; y += 1) {
    const line = at(y - BORDER, height) * width;
    const start = y * result.width;
    for (let x = 0; x < BORDER; x += 1) result.data[start + x] = data[line + columns[x]];
    result.data.set(data.subarray(line, line + width), start + BORDER);
    for (let x = BORDER + width; x < result.width; x += 1) result.data[start + x] = data[line + columns[x]];
  }
  return result;
}

function reflected(at: number, length: number): number {
  return at < 0 ? -at : at >= length ? 2 * length - 2 - at : at;
}

function repeated(at: number, length: number): number {
  return clip(at, 0, length - 1);
}

function clip(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
