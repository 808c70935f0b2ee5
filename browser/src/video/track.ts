// One tracked face: its motion, its appearance, and the cost of matching it with a detection. The counterpart of
// src/mien/inference/video/track.py; lengths are relative to a face's size, times are in seconds.

import { centreOf, isInside, type Box, type Detection } from "../boxes.js";
import type { Plane } from "../planes.js";
import { cutWindow, similarity, type Window } from "./appearance.js";
import { measureShift, Motion } from "./motion.js";

export const MAX_COST = 12; // of a match
const CAPACITY = 6; // number of appearances remembered per face
const DISTINCT = 0.95; // a new appearance is remembered if its similarity to the others is below this
const MISSED_TIME = 0.3; // how long a face that the detector misses counts as seen while it can be followed
const POSITION_ERROR = 0.25; // standard deviation of a detection's position
const POSITION_DRIFT = 0.5; // how much that grows per second without measurements
const SIZE_ERROR = 0.25; // standard deviation of the logarithm of a detection's size
const APPEARANCE_ERROR = 0.2; // standard deviation of 1 minus the similarity
const MAX_APPEARANCE_DEVIATION = 2; // while a face is seen
const REIDENTIFICATION_THRESHOLD = 0.45; // least similarity of a hidden face
const REIDENTIFICATION_THRESHOLD_AFTER_CUT = 0.75;
const REIDENTIFICATION_COST = 2;
const DUPLICATE_COST = 2; // most cost of position and size at which a second box is the same face
const MIN_SIMILARITY = 0.55; // of a followed box to the face
const MIN_FRAME_SIMILARITY = 0.7; // of a followed box to the last frame

/** A tracked face in one frame. */
export interface TrackedDetection extends Detection {
  track: number; // the tracker id, from 1
  isSeen: boolean; // detected or followed in this frame; otherwise the face is hidden and the box predicted
}

export class Track {
  trackerId = 0; // until the track is confirmed
  isSeen = true;
  isOverlapped = false; // touches another track, so its pixels may show the other face
  isCut = false; // there was a cut since the face was seen, so it may be anywhere
  seenAt: number;
  timesDetected = 1;
  score: number;
  roll: number;
  readonly motion: Motion;
  #memory: Window[];
  #window: Window; // of the last frame in which the face was seen
  #missedAt: number | null = null;

  constructor(
    detection: Detection,
    window: Window,
    readonly startedAt: number,
  ) {
    this.motion = new Motion(detection.box);
    this.#memory = [window];
    this.#window = window;
    this.seenAt = startedAt;
    ({ score: this.score, roll: this.roll } = detection);
  }

  /** Whether the detector found the face when it last ran. */
  get isDetected(): boolean {
    return this.#missedAt === null;
  }

  /** Move to the next frame: follow a face that was seen, else only predict its motion. */
  advance(frame: Plane, clock: number, step: number): void {
    this.motion.coast(step);
    if (!this.isSeen) return;
    const isRecent = this.#missedAt === null || clock - this.#missedAt <= MISSED_TIME;
    if (isRecent && this.#follow(frame)) this.seenAt = clock;
    else this.hide();
  }

  /** Update with the detection matched to it. */
  match(detection: Detection, window: Window, clock: number): void {
    this.motion.correct(detection.box, !this.isOverlapped);
    if (!this.isOverlapped && this.#similarity(window) < DISTINCT) this.#memory = [...this.#memory, window].slice(-CAPACITY);
    ({ score: this.score, roll: this.roll } = detection);
    this.#window = window;
    [this.isSeen, this.isCut, this.seenAt, this.#missedAt] = [true, false, clock, null];
    this.timesDetected += 1;
  }

  miss(clock: number): void {
    this.#missedAt ??= clock;
  }

  hide(): void {
    this.isSeen = false;
    this.motion.lose();
  }

  /** The cost of matching a detection; infinite for a hidden face that the detection does not look like. */
  cost(detection: Detection, window: Window): number {
    const cost = this.#displacement(detection.box);
    if (cost > MAX_COST) return cost;
    const similar = this.#similarity(window);
    const deviation = (1 - similar) / APPEARANCE_ERROR;
    // a face that turns may look like another one, but it does not jump
    if (this.isSeen) return cost + Math.min(deviation, MAX_APPEARANCE_DEVIATION) ** 2;
    const threshold = this.isCut ? REIDENTIFICATION_THRESHOLD_AFTER_CUT : REIDENTIFICATION_THRESHOLD;
    return similar >= threshold ? cost + deviation ** 2 + REIDENTIFICATION_COST : Infinity;
  }

  /** Whether a box is where this hidden face may be. */
  mayReappearAt(box: Box): boolean {
    return !this.isCut && this.#displacement(box) <= MAX_COST;
  }

  /** Whether a box is at this detected face, so that it is a second box of the same face. */
  isAt(box: Box): boolean {
    return this.isDetected && this.#displacement(box) <= DUPLICATE_COST;
  }

  /** Adapt to a frame size that has changed by these factors. */
  rescale(x: number, y: number): void {
    this.motion.rescale([x, y]);
    const old = this.#window;
    this.#window = { ...old, left: old.left * x, top: old.top * y, side: old.side * Math.sqrt(x * y) };
  }

  #similarity(window: Window): number {
    return Math.max(...this.#memory.map((known) => similarity(known, window)));
  }

  #displacement(box: Box): number {
    const { centre, size, blindTime } = this.motion;
    const [x, y] = centreOf(box);
    const position = Math.hypot(centre[0] - x, centre[1] - y) / size / (POSITION_ERROR + POSITION_DRIFT * blindTime);
    const growth = Math.log(Math.sqrt(box.width * box.height) / size) / SIZE_ERROR;
    return position ** 2 + growth ** 2;
  }

  /** Move the box by optical flow; false if the flow is lost or the new box shows something else. */
  #follow(frame: Plane): boolean {
    const shift = measureShift(this.#window, cutWindow(frame, this.motion.box));
    if (shift === null) return false;
    const box = this.motion.shifted(shift);
    const window = cutWindow(frame, box);
    const isSame =
      similarity(this.#window, window) >= MIN_FRAME_SIMILARITY && isInside(box, frame) && this.#similarity(window) >= MIN_SIMILARITY;
    if (isSame) {
      this.motion.shift(shift, !this.isOverlapped);
      this.#window = window;
    }
    return isSame;
  }
}
