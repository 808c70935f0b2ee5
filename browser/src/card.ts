// The cards in the files of the two networks: what their numbers mean. See docs/model-file.md.

import { MienError } from "./errors.js";
import { readMetadata } from "./onnx_file.js";

/** The tensor that an expression network takes: (n, channels, size, size), `(pixel / 255 - mean) / std`. */
export interface InputSpec {
  size: number;
  channels: 1 | 3;
  mean: number;
  std: number;
  is_grey: boolean;
}

/** The square cut around a face box: side = scale * sqrt(width * height), centre moved by the shifts * side. */
export interface CropSpec {
  scale: number;
  shift_x: number;
  shift_y: number;
}

/** What an expression network's file says about it. Names are those of the file. */
export interface ModelCard {
  name: string;
  network: string;
  labels: string[];
  input: InputSpec;
  crop: CropSpec;
  temperature: number;
  reject_threshold: number | null;
  unsure_threshold: number | null;
  precision: string;
  paper: string;
  scores: Record<string, unknown>;
  [field: string]: unknown;
}

/** What a face detector's file says about it. */
export interface DetectorCard {
  name: string;
  slope: number;
  offset: number;
  threshold: number;
  stride: number;
  side: number;
  smallest_side: number;
  sides: [number, number];
}

export const DEFAULT_CROP: CropSpec = { scale: 1, shift_x: 0, shift_y: 0.02 };
export const STRIDE = 8; // the only one that `face_maps` reads
const DETECTOR_DEFAULTS = { stride: STRIDE, side: 28, smallest_side: 20, sides: [14, 54] };
const MODEL_DEFAULTS = { temperature: 1, reject_threshold: null, unsure_threshold: null, precision: "float32", paper: "", scores: {} };
const FORMAT = 1;

/** The confidence below which a face is unsure: the card's threshold, or 0.5 if there is none. */
export function unsureBelow(card: ModelCard): number {
  return card.unsure_threshold ?? 0.5;
}

/** The number of logits: one per label, and one more if the network can reject. */
export function outputsOf(card: ModelCard): number {
  return card.labels.length + (card.reject_threshold === null ? 0 : 1);
}

/** The card of an expression network's file; a `MienError` says what is missing or does not fit. */
export function readModelCard(data: Uint8Array, source: string): ModelCard {
  const text = readMetadata(data, source).get("mien");
  if (text === undefined) {
    throw new MienError("model", `${source} has no mien model card (labels, input, crop); write it with \`mien export\`.`);
  }
  const card = { ...MODEL_DEFAULTS, ...parse(text, `${source}: the model card`) } as unknown as ModelCard;
  const input = { is_grey: false, ...object(card.input) } as InputSpec;
  const crop = { ...DEFAULT_CROP, ...object(card.crop) };
  const labels = card.labels;
  check(isTextList(labels) && labels.length > 1 && new Set(labels).size === labels.length, source, "labels");
  check(Number.isInteger(input.size) && input.size >= 8 && input.size <= 1024, source, "input.size");
  check(input.channels === 1 || input.channels === 3, source, "input.channels");
  check(Number.isFinite(input.mean) && input.std > 0 && Number.isFinite(input.std), source, "input.mean and input.std");
  check(crop.scale >= 0.2 && crop.scale <= 5 && Number.isFinite(crop.shift_x + crop.shift_y), source, "crop");
  check(card.temperature > 0 && Number.isFinite(card.temperature), source, "temperature");
  check(isShareOrNull(card.reject_threshold), source, "reject_threshold");
  check(isShareOrNull(card.unsure_threshold), source, "unsure_threshold");
  return { ...card, input, crop };
}

/** The card of a face detector's file. */
export function readDetectorCard(data: Uint8Array, source: string): DetectorCard {
  const text = readMetadata(data, source).get("mien_detector");
  if (text === undefined) {
    throw new MienError("model", `${source} has no card of a mien face detector; expected a file that mien trained.`);
  }
  const card = { ...DETECTOR_DEFAULTS, ...parse(text, `${source}: the detector's card`) } as unknown as DetectorCard;
  const [low, high] = Array.isArray(card.sides) ? card.sides : [NaN, NaN];
  check(card.stride === STRIDE, source, "stride");
  check(card.slope > 0 && Number.isFinite(card.slope) && Number.isFinite(card.offset), source, "slope and offset");
  check(card.threshold > 0 && card.threshold < 1, source, "threshold");
  const isOrdered = low >= 4 && low <= card.smallest_side && card.smallest_side <= card.side && card.side <= high && high <= 256;
  check(isOrdered, source, "sides, smallest_side and side");
  return card;
}

function parse(text: string, what: string): Record<string, unknown> {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    throw new MienError("model", `${what} is not JSON; export the model again.`);
  }
  const card = object(fields);
  if (card.format !== FORMAT) throw new MienError("model", `${what} is not of format ${FORMAT}; export the model again.`);
  return card;
}

function check(isRight: boolean, source: string, field: string): void {
  if (!isRight) throw new MienError("model", `${source}: the card's ${field} cannot be used; export the model again.`);
}

function object(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string" && one !== "");
}

function isShareOrNull(value: unknown): boolean {
  return value === null || (typeof value === "number" && value >= 0 && value <= 1);
}
