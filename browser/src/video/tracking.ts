// Track faces through a video: the same person keeps the same tracker id. The counterpart of
// src/mien/inference/video/tracking.py.

import { isInside, touch, type Box, type Detection } from "../boxes.js";
import type { Plane } from "../planes.js";
import { cutWindow, type Window } from "./appearance.js";
import { assign } from "./assignment.js";
import { MAX_COST, Track, type TrackedDetection } from "./track.js";

type Candidate = [Detection, Window];

const TENTATIVE_TIME = 0.5; // seconds that a new face near a hidden one, which it may be, has no tracker id
const PREDICTED_TIME = 1; // seconds that the predicted box of a hidden face is reported
const MEMORY_TIME = 3; // seconds that a hidden face can be re-identified
const CONFIRM_SCORE = 0.85; // a detection with at least this score is reported at once, others after a second one
const FORBIDDEN = 1e3; // caps costs, so that one impossible match cannot outweigh many good ones
const [SAMPLES, SAME_VIEW] = [24, 0.6]; // frames are compared at 24 x 24 pixels; a lower correlation is a cut
const MAX_COORDINATE = 1e6;
const MAX_HIDDEN = 100;

/** Assigns tracker ids to faces, frame by frame. */
export class Tracker {
  #tracks: Track[] = [];
  #lastId = 0;
  #clock = 0;
  #lastTime = Infinity;
  #shape: [number, number] = [0, 0];
  #sample = new Float64Array(SAMPLES * SAMPLES * 3);

  /** The tracker ids that can still occur. */
  get active(): Set<number> {
    return new Set(this.#tracks.filter(({ trackerId }) => trackerId).map(({ trackerId }) => trackerId));
  }

  /** Process a frame on which the detector ran; `time` in seconds. Returns the faces by tracker id, hidden ones included. */
  update(frame: Plane, detections: Detection[], time: number): TrackedDetection[] {
    this.#advance(frame, time);
    const candidates = detections.filter(({ box }) => isRectangle(box)).map((face): Candidate => [face, cutWindow(frame, face.box)]);
    const confirmed = this.#tracks.filter(({ trackerId }) => trackerId);
    const tentative = this.#tracks.filter(({ trackerId }) => !trackerId);
    let rest = this.#assign(confirmed, candidates);
    rest = rest.filter(([face]) => !confirmed.some((track) => track.isAt(face.box)));
    rest = this.#assign(tentative, rest);
    for (const track of confirmed) {
      const isMissed = track.isSeen && !track.isDetected;
      if (isMissed && confirmed.some((other) => other.isAt(track.motion.box))) track.hide(); // it has followed the other face
    }
    const started = rest.map(([face, window]) => new Track(face, window, this.#clock));
    this.#tracks = [...confirmed, ...tentative.filter(({ isDetected }) => isDetected), ...started];
    const hidden = confirmed.filter(({ isDetected }) => !isDetected);
    for (const track of this.#tracks) {
      if (!track.trackerId && this.#isConfirmed(track, hidden)) track.trackerId = this.#lastId += 1;
    }
    return this.#report(frame);
  }

  /** Process a frame on which the detector did not run. */
  follow(frame: Plane, time: number): TrackedDetection[] {
    this.#advance(frame, time);
    return this.#report(frame);
  }

  #advance(frame: Plane, time: number): void {
    const step = Math.max(time - this.#lastTime, 0);
    [this.#clock, this.#lastTime] = [this.#clock + step, time];
    const [width, height] = this.#shape;
    if (frame.width !== width || frame.height !== height) {
      for (const track of this.#tracks) track.rescale(frame.width / width, frame.height / height);
    }
    this.#shape = [frame.width, frame.height];
    const followed = this.#tracks.filter(({ isSeen }) => isSeen);
    for (const track of this.#tracks) track.advance(frame, this.#clock, step);
    const isCut = this.#isOtherView(frame) && !followed.some(({ isSeen }) => isSeen);
    for (const track of this.#tracks) {
      track.isCut ||= isCut;
      track.isOverlapped = this.#tracks.some((other) => other !== track && touch(track.motion.box, other.motion.box));
    }
  }

  /** Whether the frame as a whole does not resemble the previous one. */
  #isOtherView({ data, width, height, channels }: Plane): boolean {
    const [before, sample] = [this.#sample, new Float64Array(this.#sample.length)];
    for (let row = 0, at = 0; row < SAMPLES; row += 1) {
      for (let column = 0; column < SAMPLES; column += 1) {
        const from = (Math.floor((row * height) / SAMPLES) * width + Math.floor((column * width) / SAMPLES)) * channels;
        for (let channel = 0; channel < 3; channel += 1, at += 1) sample[at] = data[from + channel];
      }
    }
    const mean = sample.reduce((sum, value) => sum + value, 0) / sample.length;
    this.#sample = sample.map((value) => value - mean);
    const product = (a: Float64Array, b: Float64Array) => a.reduce((sum, value, index) => sum + value * b[index], 0);
    const norms = Math.sqrt(product(before, before) * product(this.#sample, this.#sample));
    return norms > 0 && product(before, this.#sample) < SAME_VIEW * norms;
  }

  /** Match tracks with detections at the lowest total cost, and return the detections left over. */
  #assign(tracks: Track[], candidates: Candidate[]): Candidate[] {
    const costs = tracks.map((track) => candidates.map(([face, window]) => track.cost(face, window)));
    const capped = costs.map((row) => row.map((cost) => Math.min(cost, FORBIDDEN)));
    const matches = new Map(assign(capped).filter(([row, column]) => costs[row][column] <= MAX_COST));
    for (const [row, track] of tracks.entries()) {
      const column = matches.get(row);
      if (column === undefined) track.miss(this.#clock);
      else track.match(...candidates[column], this.#clock);
    }
    const taken = new Set(matches.values());
    return candidates.filter((_, column) => !taken.has(column));
  }

  /** Whether a tentative track is a real face, and cannot be a hidden one that is still half covered. */
  #isConfirmed(track: Track, hidden: Track[]): boolean {
    const isSure = track.timesDetected > 1 || track.score >= CONFIRM_SCORE;
    const isOld = this.#clock - track.startedAt >= TENTATIVE_TIME;
    return isSure && (isOld || !hidden.some((other) => other.mayReappearAt(track.motion.box)));
  }

  /** Forget faces that were hidden for too long, and return those to show. */
  #report(frame: Plane): TrackedDetection[] {
    const seen = this.#tracks.filter(({ isSeen }) => isSeen);
    const hidden = this.#tracks.filter(({ isSeen }) => !isSeen).sort((a, b) => b.seenAt - a.seenAt);
    this.#tracks = [...seen, ...hidden.slice(0, MAX_HIDDEN).filter(({ seenAt }) => seenAt >= this.#clock - MEMORY_TIME)];
    const predicted = hidden.filter(({ seenAt, motion }) => seenAt >= this.#clock - PREDICTED_TIME && isInside(motion.box, frame));
    return [...seen, ...predicted]
      .filter(({ trackerId }) => trackerId)
      .map(({ trackerId, motion, score, isSeen, roll }) => ({ track: trackerId, box: motion.box, score, isSeen, roll }))
      .sort((a, b) => a.track - b.track);
  }
}

function isRectangle({ x, y, width, height }: Box): boolean {
  const isLargeEnough = width > 0 && width < MAX_COORDINATE && height > 0 && height < MAX_COORDINATE;
  return isLargeEnough && Math.abs(x) < MAX_COORDINATE && Math.abs(y) < MAX_COORDINATE;
}
