// Results as plain values, with the names and the precision of the command's JSON (src/mien/core/serialization.py).

import type { Box } from "./boxes.js";
import { unsureBelow, type ModelCard } from "./card.js";

const UNSURE = "unsure";

/** A face with its *apparent* expression: how it looks, not what the person feels. */
export interface FaceResult {
  face: number; // from 1, from left to right
  x: number; // pixels of the upright image
  y: number;
  width: number;
  height: number;
  roll: number; // degrees that the head is turned, clockwise
  score: number; // the detector's, 0 to 1
  label: string;
  confidence: number; // the probability of `label`
  unsure: boolean; // whether that is below the model's threshold
  probabilities: Record<string, number>;
}

export interface TrackedFaceResult extends FaceResult {
  track: number; // the same in every frame that shows the face
  seen: boolean; // false: hidden at the moment, its position is predicted
  raw: Record<string, number>; // of this frame alone; `probabilities` are smoothed
}

export interface ImageResult {
  source: string;
  image_width: number;
  image_height: number;
  faces: FaceResult[];
  shares: Record<string, number>; // of the faces that count as each label, and as "unsure"
}

export interface FrameResult {
  frame: number; // from 0
  time: number; // as given, in seconds
  image_width: number;
  image_height: number;
  faces: TrackedFaceResult[];
  shares: Record<string, number>;
}

/** A recognized face before it becomes a result. */
export interface ScoredFace {
  box: Box;
  score: number;
  roll: number;
  probabilities: number[];
}

export interface ScoredTrack extends ScoredFace {
  track: number;
  isSeen: boolean;
  raw: number[];
}

export function toFace(face: ScoredFace, number: number, card: ModelCard): FaceResult {
  const best = face.probabilities.indexOf(Math.max(...face.probabilities));
  const confidence = face.probabilities[best];
  return {
    face: number,
    x: round(face.box.x, 1),
    y: round(face.box.y, 1),
    width: round(face.box.width, 1),
    height: round(face.box.height, 1),
    roll: round(face.roll, 1),
    score: round(face.score, 4),
    label: card.labels[best],
    confidence: round(confidence, 6),
    unsure: confidence < unsureBelow(card),
    probabilities: byLabel(face.probabilities, card),
  };
}

export function toTrackedFace(face: ScoredTrack, number: number, card: ModelCard): TrackedFaceResult {
  return { track: face.track, seen: face.isSeen, ...toFace(face, number, card), raw: byLabel(face.raw, card) };
}

/** The share of visible faces that count as each label and as "unsure"; all 0 without faces. */
export function toShares(faces: (FaceResult & { seen?: boolean })[], card: ModelCard): Record<string, number> {
  const words = faces.filter(({ seen }) => seen ?? true).map(({ unsure, label }) => (unsure ? UNSURE : label));
  const share = (name: string) => round(words.filter((word) => word === name).length / Math.max(words.length, 1), 6);
  return Object.fromEntries([...card.labels, UNSURE].map((name) => [name, share(name)]));
}

function byLabel(values: number[], card: ModelCard): Record<string, number> {
  return Object.fromEntries(card.labels.map((label, index) => [label, round(values[index], 6)]));
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits)) || 0; // never -0
}
