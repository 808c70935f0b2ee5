// Adapter of @vladmandic/human, in Node.js with the WebAssembly backend; only what expressions need is switched on.

import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { decode, repeatGrey, startBackend } from "./node_images.mjs";

const OFF = { enabled: false };

export class Tool {
  labels = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];

  constructor(own) {
    this.own = own;
    this.tf = own("@tensorflow/tfjs");
    // Its "exports" name other builds only.
    const folder = `${process.cwd()}/node_modules/@vladmandic/human`;
    this.package = own(`${folder}/dist/human.node-wasm.js`);
    this.version = own(`${folder}/package.json`).version;
  }

  async load(threads) {
    await startBackend(this.own, this.tf, threads);
    const settings = {
      backend: "wasm",
      wasmPath: `${process.cwd()}/node_modules/@tensorflow/tfjs-backend-wasm/dist/`,
      modelBasePath: await serveModels(`${process.cwd()}/node_modules/@vladmandic/human/models/`),
      debug: false,
      warmup: "none",
      face: {
        enabled: true,
        detector: { maxDetected: 10 }, // 1 by default
        emotion: { enabled: true },
        iris: OFF,
        description: OFF,
        antispoof: OFF,
        liveness: OFF,
      },
      body: OFF,
      hand: OFF,
      object: OFF,
      gesture: OFF,
      segmentation: OFF,
    };
    // The tool reuses results for images that look alike, which is meant for videos only.
    this.still = new this.package.Human({ ...settings, cacheSensitivity: 0 });
    await this.still.load();
    this.settings = settings;
  }

  async crop(pixels, way) {
    const side = Math.sqrt(pixels.length);
    const colours = repeatGrey(pixels);
    if (way === "public") return (await this.find(this.still, colours, side, side))[0]?.scores ?? null;
    // There is no public call without detection. "best": its network, with its own preparation of the input.
    const { emotion } = this.still.models.models;
    const size = emotion.inputs[0].shape[2];
    const result = this.tf.tidy(() => {
      const grey = this.tf.tensor4d(Float32Array.from(pixels, (value) => value / 255), [1, side, side, 1]);
      return emotion.execute(this.tf.image.resizeBilinear(grey, [size, size]).sub(0.5).mul(2));
    });
    const scores = Array.from(await result.data());
    result.dispose();
    return scores;
  }

  async image(path) {
    const { data, width, height } = await decode(this.own, path);
    return this.find(this.still, data, width, height);
  }

  async frame(pixels, width, height) {
    this.moving ??= new this.package.Human(this.settings);
    return this.find(this.moving, pixels, width, height);
  }

  async find(human, pixels, width, height) {
    const image = human.tf.tensor3d(new Uint8Array(pixels), [height, width, 3], "int32");
    const { face, error } = await human.detect(image);
    image.dispose();
    if (error) throw new Error(error);
    return face.map(({ box, emotion }) => ({
      box,
      scores: this.labels.map((label) => emotion?.find((one) => one.emotion === label)?.score ?? 0),
    }));
  }
}

// The tool reads its models through HTTP in this build, so they are served to this process alone.
async function serveModels(folder) {
  const server = createServer(async (request, response) => {
    try {
      response.end(await readFile(folder + basename(request.url.split("?")[0])));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  server.unref();
  return `http://127.0.0.1:${server.address().port}/`;
}
