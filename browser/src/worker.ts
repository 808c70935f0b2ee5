// The worker: holds the networks, and answers one request after the other.

import { decodeFile, decodeFrame } from "./decoding.js";
import { MienDetector, WholeImage, type Detector } from "./detector.js";
import { MienError, firstLine } from "./errors.js";
import { ExpressionNetwork } from "./expression_network.js";
import { Pipeline } from "./pipeline.js";
import type { Answer, DetectorName, LoadMessage, Loaded, ModelFile, ProcessedFrame, Reply, Request } from "./protocol.js";
import { startRuntime } from "./runtime.js";
import { FaceStream } from "./video/face_stream.js";

const LARGEST_MODEL = 512 * 2 ** 20; // bytes
const pipelines = new Map<DetectorName, Pipeline>();
const streams = new Map<number, FaceStream>();
let last: Promise<void> = Promise.resolve();

async function load(message: LoadMessage): Promise<Loaded> {
  const [runtime, model, file] = await Promise.all([
    startRuntime(message.runtime),
    read(message.model),
    message.detector && read(message.detector),
  ]);
  const network = await ExpressionNetwork.load(runtime, model.data, model.name);
  let detector: Detector = new WholeImage();
  if (file) detector = await MienDetector.load(runtime, file.data, file.name, message.detectorOptions);
  const pipeline = new Pipeline(network, detector, message.useRejection);
  pipelines.set("none", pipeline.withoutDetector());
  if (file) pipelines.set("mien", pipeline);
  const { backend } = network;
  const detectorBackend = detector instanceof MienDetector ? detector.backend : "none";
  return { card: network.card, backend, detectorBackend, threads: runtime.ort.env.wasm.numThreads ?? 1 };
}

async function read(file: ModelFile): Promise<{ data: Uint8Array; name: string }> {
  if ("data" in file) return { data: new Uint8Array(file.data), name: file.name };
  const name = file.url.split(/[?#]/, 1)[0].split("/").pop() || file.url;
  let response: Response;
  try {
    response = await fetch(file.url);
  } catch {
    throw new MienError("model", `${name} cannot be loaded: its address does not answer.`);
  }
  if (!response.ok) throw new MienError("model", `${name} cannot be loaded: its address answers ${response.status}.`);
  if (Number(response.headers.get("Content-Length")) > LARGEST_MODEL) throw new MienError("model", `${name} is larger than 512 MiB.`);
  return { data: new Uint8Array(await response.arrayBuffer()), name };
}

function pipelineOf(detector: DetectorName): Pipeline {
  const pipeline = pipelines.get(detector);
  if (!pipeline)
    throw new MienError("usage", `The detector '${detector}' is not loaded; loaded: ${[...pipelines.keys()].join(", ") || "none yet"}.`);
  return pipeline;
}

async function answer(request: Request): Promise<Answer> {
  switch (request.type) {
    case "load":
      return load(request);
    case "recognize": {
      const { image, source, limits, detector } = request;
      const pixels = image instanceof Blob ? await decodeFile(image, source, limits) : await decodeFrame(image, Infinity);
      return pipelineOf(detector).recognize(pixels, source);
    }
    case "start":
      streams.set(
        request.stream,
        new FaceStream(pipelineOf(request.options.detector ?? (pipelines.has("mien") ? "mien" : "none")), request.options),
      );
      return null;
    case "process":
      return process(request);
    case "stop":
      streams.delete(request.stream);
      return null;
  }
}

async function process({ stream, frame, time, longestSide }: Request & { type: "process" }): Promise<ProcessedFrame> {
  const start = performance.now();
  const faces = streams.get(stream);
  if (!faces) throw new MienError("usage", "The stream is closed; start another one.");
  const result = await faces.process(await decodeFrame(frame, longestSide), time);
  return { ...result, worker_ms: Math.round(100 * (performance.now() - start)) / 100 };
}

async function reply(id: number, request: Request): Promise<void> {
  let message: Reply;
  try {
    message = { id, answer: await answer(request) };
  } catch (error) {
    const kind = error instanceof MienError ? error.kind : "browser";
    message = {
      id,
      error: { kind, message: error instanceof MienError ? error.message : `The browser failed (${firstLine(error)}); reload the page.` },
    };
  }
  self.postMessage(message);
}

// one after the other: a network runs one input at a time
self.addEventListener("message", ({ data }: MessageEvent<{ id: number; request: Request }>) => {
  last = last.then(() => reply(data.id, data.request));
});
