// Adapter of @vladmandic/face-api, in Node.js with the WebAssembly backend: SSD MobileNet v1 finds the faces.

import { decode, repeatGrey, startBackend } from "./node_images.mjs";

export class Tool {
  labels = ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"];

  constructor(own) {
    this.own = own;
    this.api = own("@vladmandic/face-api/dist/face-api.node-wasm.js");
    this.version = own("@vladmandic/face-api/package.json").version;
  }

  async load(threads) {
    await startBackend(this.own, this.api.tf, threads);
    const models = `${process.cwd()}/node_modules/@vladmandic/face-api/model`;
    await this.api.nets.ssdMobilenetv1.loadFromDisk(models);
    await this.api.nets.faceExpressionNet.loadFromDisk(models);
  }

  async crop(pixels) {
    const side = Math.sqrt(pixels.length);
    const image = this.api.tf.tensor3d(repeatGrey(pixels), [side, side, 3], "int32");
    const found = await this.api.nets.faceExpressionNet.predictExpressions(image);
    image.dispose();
    return this.labels.map((label) => found[label]);
  }

  async image(path) {
    const { data, width, height } = await decode(this.own, path);
    return this.frame(data, width, height);
  }

  async frame(pixels, width, height) {
    const image = this.api.tf.tensor3d(new Uint8Array(pixels), [height, width, 3], "int32");
    const faces = await this.api.detectAllFaces(image).withFaceExpressions();
    image.dispose();
    return faces.map(({ detection: { box }, expressions }) => ({
      box: [box.x, box.y, box.width, box.height],
      scores: this.labels.map((label) => expressions[label]),
    }));
  }
}
