// How a face moves: measured by optical flow from frame to frame, extrapolated while it is hidden. The counterpart of
// src/mien/inference/video/motion.py.

import { centreOf, type Box, type Point } from "../boxes.js";
import { REACH, WINDOW, type Window } from "./appearance.js";
import { follow, makePyramid } from "./optical_flow.js";

/** A movement in frame pixels, and the factor by which the face has grown. */
export interface Shift {
  x: number;
  y: number;
  growth: number;
}

// A 6 x 6 grid of points over the central 80 % of the face box, in window pixels.
const AXIS = Array.from({ length: 6 }, (_, index) => WINDOW / 2 - 0.5 + ((-0.8 + 0.32 * index) * WINDOW) / REACH / 2);
const POINTS = Float64Array.from(AXIS.flatMap((x) => AXIS.flatMap((y) => [x, y])).map(Math.fround));
const MAX_ERROR = 1; // a point counts if tracking it forward and backward returns this close to its start
const MIN_SHARE_OF_POINTS = 0.4;
// Variances relative to the box size: of a detection, of a second of optical flow, and of a second of extrapolation.
const [DETECTION, FLOW_DRIFT, BLIND_DRIFT] = [0.04 ** 2, 0.1 ** 2, 0.8];
// Time constants in seconds: of the average velocity, and of the end of a hidden face's predicted motion.
const [VELOCITY_TIME, COAST_TIME] = [0.25, 1.5];

/** How the face in the middle of `before` has moved (median flow: Kalal, Mikolajczyk and Matas, 2010), or null if it is lost. */
export function measureShift(before: Window, after: Window): Shift | null {
  const pyramids = [makePyramid(before.grey), makePyramid(after.grey)] as const;
  const forth = follow(pyramids[0], pyramids[1], POINTS);
  const back = follow(pyramids[1], pyramids[0], forth.points);
  const good: number[] = [];
  for (let index = 0; index < forth.isFound.length; index += 1) {
    const error = Math.hypot(back.points[2 * index] - POINTS[2 * index], back.points[2 * index + 1] - POINTS[2 * index + 1]);
    if (forth.isFound[index] && back.isFound[index] && error < MAX_ERROR) good.push(index);
  }
  if (good.length / forth.isFound.length < MIN_SHARE_OF_POINTS) return null;
  const first = good.map((index): Point => [POINTS[2 * index], POINTS[2 * index + 1]]);
  const second = good.map((index): Point => [forth.points[2 * index], forth.points[2 * index + 1]]);
  const scale = before.side / WINDOW;
  const moved = [0, 1].map((axis) => median(second.map((point, index) => point[axis] - first[index][axis])) * scale);
  const half = Math.floor(good.length / 2);
  const lengths = (points: Point[]) =>
    points.slice(0, half).map(([x, y], index) => {
      const [otherX, otherY] = points[points.length - half + index];
      return Math.hypot(x - otherX, y - otherY);
    });
  const old = lengths(first);
  const growth = median(lengths(second).map((length, index) => length / Math.max(old[index], 1)));
  return { x: after.left - before.left + moved[0], y: after.top - before.top + moved[1], growth: Math.min(Math.max(growth, 0.8), 1.25) };
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Position and velocity of a face. Positions are in pixels, times in seconds. */
export class Motion {
  centre: Point;
  sides: Point;
  velocity: Point = [0, 0];
  blindTime = 0; // since the last measurement
  #age = 0;
  #variance = DETECTION; // of the centre and of the log sides, relative to `size`
  #measured: Point;
  #sinceDetection = 0;
  #detected: [Point, Point, Point];

  constructor(box: Box) {
    this.centre = centreOf(box);
    this.sides = [box.width, box.height];
    this.#measured = this.centre;
    this.#detected = [this.centre, this.sides, this.velocity];
  }

  /** The side of a square with the area of the box. */
  get size(): number {
    return Math.sqrt(this.sides[0] * this.sides[1]);
  }

  get box(): Box {
    return makeBox(this.centre, this.sides);
  }

  /** Extrapolate by `step` seconds, slowing down. */
  coast(step: number): void {
    this.centre = add(this.centre, this.velocity, coasted(this.blindTime, this.blindTime + step));
    this.blindTime += step;
    this.#age += step;
    this.#sinceDetection += step;
  }

  /** Go back to the last detection and extrapolate from there. */
  lose(): void {
    [this.centre, this.sides, this.velocity] = this.#detected;
    this.blindTime = this.#sinceDetection;
    this.centre = add(this.centre, this.velocity, coasted(0, this.blindTime));
  }

  /** The last measured box after a movement. */
  shifted({ x, y, growth }: Shift): Box {
    return makeBox(add(this.#measured, [x, y]), scaled(this.sides, [growth, growth]));
  }

  /** Replace the extrapolation by a movement since the last measurement; update the velocity if reliable. */
  shift({ x, y, growth }: Shift, isReliable: boolean): void {
    this.centre = add(this.#measured, [x, y]);
    this.sides = scaled(this.sides, [growth, growth]);
    this.#variance += FLOW_DRIFT * this.blindTime;
    this.#finishMeasurement(isReliable);
  }

  /** Update with a detection (a Kalman filter); its weight grows with the time since the last one. */
  correct(box: Box, isReliable: boolean): void {
    const error = add(centreOf(box), this.centre, -1);
    this.#variance += (BLIND_DRIFT * this.blindTime) ** 2;
    const together = this.#variance + DETECTION;
    const isFar = Math.max(...error.map(Math.abs)) / this.size > 3 * Math.sqrt(together);
    const gain = isFar ? 1 : this.#variance / together;
    this.centre = add(this.centre, error, gain);
    this.sides = [this.sides[0] ** (1 - gain) * box.width ** gain, this.sides[1] ** (1 - gain) * box.height ** gain];
    this.#variance = gain === 1 ? DETECTION : this.#variance * (1 - gain);
    this.#finishMeasurement(isReliable);
    this.#sinceDetection = 0;
    this.#detected = [this.centre, this.sides, this.velocity];
  }

  /** Adapt to a frame size that has changed by these factors. */
  rescale(factors: Point): void {
    [this.centre, this.sides, this.velocity, this.#measured] = [this.centre, this.sides, this.velocity, this.#measured].map((value) =>
      scaled(value, factors),
    );
    this.#detected = this.#detected.map((value) => scaled(value, factors)) as [Point, Point, Point];
  }

  /** Average the velocity, over the whole time of a young track and over `VELOCITY_TIME` later. */
  #finishMeasurement(isReliable: boolean): void {
    if (this.blindTime > 0 && isReliable) {
      const velocity = scaled(add(this.centre, this.#measured, -1), [1 / this.blindTime, 1 / this.blindTime]);
      const gain = Math.max(1 - Math.exp(-this.blindTime / VELOCITY_TIME), Math.min(this.blindTime / this.#age, 1));
      this.velocity = add(this.velocity, add(velocity, this.velocity, -1), gain);
    }
    this.#measured = this.centre;
    this.blindTime = 0;
  }
}

/** The time at full speed that equals coasting from `start` to `end` seconds after the last sight. */
function coasted(start: number, end: number): number {
  return COAST_TIME * (Math.exp(-start / COAST_TIME) - Math.exp(-end / COAST_TIME));
}

function add(a: Point, b: Point, factor = 1): Point {
  return [a[0] + factor * b[0], a[1] + factor * b[1]];
}

function scaled(a: Point, factors: Point): Point {
  return [a[0] * factors[0], a[1] * factors[1]];
}

function makeBox([x, y]: Point, [width, height]: Point): Box {
  return { x: x - width / 2, y: y - height / 2, width, height };
}
