// The faces of one camera or video, frame by frame: detected, tracked, scored and smoothed. The counterpart of
// src/mien/inference/video/face_stream.py.

import type { ModelCard } from "../card.js";
import { MienError } from "../errors.js";
import type { Scores } from "../expression_network.js";
import type { Pipeline } from "../pipeline.js";
import type { Plane } from "../planes.js";
import { toShares, toTrackedFace, type FrameResult, type ScoredTrack } from "../results.js";
import { Smoother, TIME_CONSTANT, type SmoothingMode } from "./smoothing.js";
import type { TrackedDetection } from "./track.js";
import { Tracker } from "./tracking.js";

export interface StreamSettings {
  /** Run the detector on every n-th frame; faces are followed in between. */
  detectEvery?: number;
  /** Of the probabilities over time. */
  smoothing?: SmoothingMode;
  /** Of the smoothing, in seconds. */
  timeConstant?: number;
}

const DETECT_EVERY = 3;
const DETECT_WITHIN = 0.25; // run the detector at least this often, in seconds, at low frame rates too

interface History {
  probabilities: Smoother;
  rejection: Smoother;
  face: ScoredTrack | null;
}

export class FaceStream {
  readonly #pipeline: Pipeline;
  readonly #settings: Required<StreamSettings>;
  readonly #tracker = new Tracker();
  #framesSinceDetection = 0;
  #detectedAt = -Infinity;
  #processed = 0;
  #histories = new Map<number, History>();

  constructor(
    pipeline: Pipeline,
    { detectEvery = DETECT_EVERY, smoothing = "adaptive", timeConstant = TIME_CONSTANT }: StreamSettings = {},
  ) {
    if (!(detectEvery >= 1)) throw new MienError("usage", `detectEvery is ${detectEvery}; expected 1 frame or more.`);
    this.#pipeline = pipeline;
    this.#settings = { detectEvery, smoothing, timeConstant };
    this.#newHistory(); // raises an error if a setting is invalid
  }

  /** The faces of the next frame; `time` in seconds from any fixed moment. */
  async process(frame: Plane, time: number): Promise<FrameResult> {
    if (!Number.isFinite(time)) throw new MienError("usage", `A frame's time must be a finite number of seconds; got ${time}.`);
    const index = this.#processed;
    this.#processed += 1;
    const tracked = await this.#find(frame, time);
    const scores = await this.#pipeline.score(tracked.filter(({ isSeen }) => isSeen).map((face) => this.#pipeline.crop(frame, face)));
    const faces = this.#smoothAll(tracked, scores, time).map((face, number) => toTrackedFace(face, number + 1, this.#card));
    const shares = toShares(faces, this.#card);
    return { frame: index, time: Number(time.toFixed(4)), image_width: frame.width, image_height: frame.height, faces, shares };
  }

  get #card(): ModelCard {
    return this.#pipeline.card;
  }

  async #find(frame: Plane, time: number): Promise<TrackedDetection[]> {
    if (this.#pipeline.detector.isWholeImage) {
      return (await this.#pipeline.detect(frame)).map((face) => ({ ...face, track: 1, isSeen: true }));
    }
    this.#framesSinceDetection += 1;
    const isDue = this.#framesSinceDetection >= this.#settings.detectEvery;
    if (!(isDue || time - this.#detectedAt >= DETECT_WITHIN)) return this.#tracker.follow(frame, time);
    [this.#framesSinceDetection, this.#detectedAt] = [0, time];
    return this.#tracker.update(frame, await this.#pipeline.detect(frame), time);
  }

  #smoothAll(found: TrackedDetection[], scores: Scores[], time: number): ScoredTrack[] {
    const active = this.#pipeline.detector.isWholeImage ? new Set([1]) : this.#tracker.active;
    for (const track of this.#histories.keys()) if (!active.has(track)) this.#histories.delete(track);
    const rows = scores.values();
    const faces: ScoredTrack[] = [];
    for (const tracked of found) {
      const history = this.#histories.get(tracked.track) ?? this.#newHistory();
      this.#histories.set(tracked.track, history);
      if (tracked.isSeen) history.face = this.#smooth(history, tracked, rows.next().value as Scores, time);
      // a hidden face keeps the last expression seen
      if (history.face) faces.push({ ...history.face, box: tracked.box, isSeen: tracked.isSeen });
    }
    return faces;
  }

  /** The face with smoothed probabilities, or null if the smoothed rejection says non-face. */
  #smooth(history: History, tracked: TrackedDetection, scores: Scores, time: number): ScoredTrack | null {
    const reject = history.rejection.update([1 - scores.reject, scores.reject], time)[1];
    const probabilities = history.probabilities.update(scores.probabilities, time);
    if (!this.#pipeline.isFace(reject)) return null;
    return { ...tracked, probabilities, raw: scores.probabilities };
  }

  #newHistory(): History {
    const make = () => new Smoother(this.#settings.smoothing, this.#settings.timeConstant);
    return { probabilities: make(), rejection: make(), face: null };
  }
}
