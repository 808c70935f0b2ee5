// What a page and its worker say to each other.

import type { ModelCard } from "./card.js";
import type { Limits } from "./decoding.js";
import type { DetectorOptions } from "./detector.js";
import type { ErrorKind } from "./errors.js";
import type { FrameResult, ImageResult } from "./results.js";
import type { RuntimeOptions } from "./runtime.js";
import type { StreamSettings } from "./video/face_stream.js";

/** A model file: its address, or its content and what to call it. */
export type ModelFile = { url: string } | { data: ArrayBuffer; name: string };
export type DetectorName = "mien" | "none";

export interface StreamOptions extends StreamSettings {
  /** `none`: each frame is one face. */
  detector?: DetectorName;
}

export interface LoadMessage {
  type: "load";
  model: ModelFile;
  detector: ModelFile | null; // null: each image is one face
  detectorOptions: DetectorOptions;
  runtime: RuntimeOptions;
  useRejection: boolean;
}

export type Request =
  | LoadMessage
  | { type: "recognize"; image: Blob | ImageBitmap | VideoFrame; source: string; limits: Limits; detector: DetectorName }
  | { type: "start"; stream: number; options: StreamOptions }
  | { type: "process"; stream: number; frame: ImageBitmap | VideoFrame; time: number; longestSide: number }
  | { type: "stop"; stream: number };

export interface Loaded {
  card: ModelCard;
  backend: string; // of the expression network
  detectorBackend: string;
  threads: number;
}

/** A frame's result, and how long the worker took, in milliseconds. */
export type ProcessedFrame = FrameResult & { worker_ms: number };
export type Answer = Loaded | ImageResult | ProcessedFrame | null;
export type Reply = { id: number } & ({ answer: Answer } | { error: { kind: ErrorKind; message: string } });
