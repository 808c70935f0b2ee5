// onnxruntime-web: how it is started, and networks in it.

import type * as Ort from "onnxruntime-web";
import { MienError, firstLine } from "./errors.js";
import { contains, hasExternalWeights } from "./onnx_file.js";

export type OrtModule = typeof Ort;
/** What runs a network: WebAssembly on the processor, or WebGPU. */
export type Backend = "wasm" | "webgpu";

export interface Runtime {
  ort: OrtModule;
  backends: Backend[]; // those to choose from; of several, the faster one is kept
}

export interface RuntimeOptions {
  /** The address of the folder with onnxruntime-web's files; ends with a slash. */
  folder: string;
  /** `auto`: WebGPU where it is there and faster, else WebAssembly. */
  backend: Backend | "auto";
  /** Threads of WebAssembly, if the page is cross-origin isolated; 0: one per core, at most 4. */
  threads: number;
}

const MOST_THREADS = 4; // more do not help networks of this size
const QUANTIZE = [34, 14, ...new TextEncoder().encode("QuantizeLinear")]; // NodeProto.op_type
const TRIALS = 5; // runs that decide between two backends
// The smallest module with an instruction of 128-bit SIMD.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

/** Load onnxruntime-web; a `MienError` says what the browser lacks. */
export async function startRuntime({ folder, backend, threads }: RuntimeOptions): Promise<Runtime> {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(SIMD))) {
    throw new MienError("browser", "This browser has no WebAssembly with SIMD, which the networks need; use a newer browser.");
  }
  const hasGpu = backend !== "wasm" && (await hasWebGpu());
  if (backend === "webgpu" && !hasGpu) throw new MienError("browser", "This browser has no WebGPU; use the backend 'wasm' or 'auto'.");
  const address = new URL(hasGpu ? "ort.webgpu.min.mjs" : "ort.wasm.min.mjs", folder).href;
  let ort: OrtModule;
  try {
    ort = (await import(/* @vite-ignore */ address)) as OrtModule;
  } catch {
    throw new MienError("browser", `onnxruntime-web cannot be loaded from ${folder}; copy its files there, or name another folder.`);
  }
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = folder;
  ort.env.wasm.numThreads = threadCount(threads);
  return { ort, backends: hasGpu ? (backend === "webgpu" ? ["webgpu"] : ["wasm", "webgpu"]) : ["wasm"] };
}

function threadCount(asked: number): number {
  if (!globalThis.crossOriginIsolated) return 1;
  return asked || Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);
}

async function hasWebGpu(): Promise<boolean> {
  const { gpu } = navigator as {
    gpu?: { requestAdapter(): Promise<{ isFallbackAdapter?: boolean; info?: { isFallbackAdapter?: boolean } } | null> };
  };
  const adapter = await gpu?.requestAdapter().catch(() => null);
  return adapter != null && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

type Feeds = Record<string, Ort.Tensor>;

/** One network: started on the fastest backend, run by name of input and output. */
export class Network {
  private constructor(
    private readonly session: Ort.InferenceSession,
    readonly backend: Backend,
  ) {}

  /** Start a network; `trial` is an input to compare backends with. A `MienError` names the source. */
  static async start({ ort, backends }: Runtime, data: Uint8Array, source: string, trial: Feeds): Promise<Network> {
    if (hasExternalWeights(data)) throw new MienError("model", `${source} keeps weights in another file; export it as one file.`);
    const started: { network: Network; time: number }[] = [];
    let problem: unknown;
    for (const backend of backends) {
      try {
        const session = await ort.InferenceSession.create(data, {
          executionProviders: [backend],
          logSeverityLevel: 4,
          extra: { session: settingsFor(data) },
        });
        const network = new Network(session, backend);
        started.push({ network, time: backends.length > 1 ? await network.#time(trial) : 0 });
      } catch (error) {
        problem = error;
      }
    }
    if (started.length === 0)
      throw new MienError("model", `${source} cannot be used (${firstLine(problem)}); expected an .onnx file that mien exported.`);
    const [best, ...others] = started.sort((a, b) => a.time - b.time);
    for (const { network } of others) await network.close();
    return best.network;
  }

  /** Run the network and return one output: its numbers and its shape. */
  async run(feeds: Feeds, output: string): Promise<{ data: Float32Array; dims: readonly number[] }> {
    const results = await this.session.run(feeds, [output]);
    const tensor = results[output];
    const data = Float32Array.from(tensor.data as Float32Array);
    tensor.dispose();
    return { data, dims: tensor.dims };
  }

  async close(): Promise<void> {
    await this.session.release();
  }

  async #time(trial: Feeds): Promise<number> {
    const [output] = this.session.outputNames;
    const times: number[] = [];
    for (let round = 0; round < TRIALS; round += 1) {
      const start = performance.now();
      await this.run(trial, output);
      times.push(performance.now() - start);
    }
    return Math.min(...times.slice(1)); // the first one also compiles
  }
}

/** Settings of onnxruntime, as in src/mien/inference/onnx_session.py: only files with quantized activations have that operator. */
function settingsFor(data: Uint8Array): Record<string, unknown> {
  return { intra_op: { allow_spinning: "0" }, disable_quant_qdq: contains(data, QUANTIZE) ? "0" : "1" };
}
