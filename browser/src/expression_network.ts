// The expression network: faces in, probabilities out, as the card in its file says.

import { outputsOf, readModelCard, type ModelCard } from "./card.js";
import { toBatch } from "./crop.js";
import { MienError, firstLine } from "./errors.js";
import type { Plane } from "./planes.js";
import { Network, type Runtime } from "./runtime.js";

/** The scores of one face; `reject`: the probability that it is a non-face, 0 if the network cannot reject. */
export interface Scores {
  probabilities: number[];
  reject: number;
}

const [INPUT, OUTPUT] = ["images", "logits"];
const LARGEST_BATCH = 32; // faces of one forward pass

export class ExpressionNetwork {
  private constructor(
    private readonly runtime: Runtime,
    private readonly network: Network,
    readonly card: ModelCard,
  ) {}

  static async load(runtime: Runtime, data: Uint8Array, source: string): Promise<ExpressionNetwork> {
    const card = readModelCard(data, source);
    const { size, channels } = card.input;
    const zeros = (count: number) =>
      new runtime.ort.Tensor("float32", new Float32Array(count * channels * size ** 2), [count, channels, size, size]);
    const network = await Network.start(runtime, data, source, { [INPUT]: zeros(1) });
    let shape: string;
    try {
      shape = (await network.run({ [INPUT]: zeros(2) }, OUTPUT)).dims.join(" x ");
    } catch (error) {
      throw new MienError("model", `${source} does not take the faces that its card says (${firstLine(error)}); export it again.`);
    }
    const expected = `2 x ${outputsOf(card)}`;
    if (shape !== expected)
      throw new MienError("model", `${source} returns logits of shape ${shape} for 2 faces; its card says ${expected}. Export it again.`);
    return new ExpressionNetwork(runtime, network, card);
  }

  get backend(): string {
    return this.network.backend;
  }

  /** Score faces cut by `fitFace`. */
  async score(faces: Plane[]): Promise<Scores[]> {
    const scores: Scores[] = [];
    for (let first = 0; first < faces.length; first += LARGEST_BATCH) {
      const batch = faces.slice(first, first + LARGEST_BATCH);
      const { size, channels } = this.card.input;
      const images = new this.runtime.ort.Tensor("float32", toBatch(batch, this.card.input), [batch.length, channels, size, size]);
      const { data, dims } = await this.network.run({ [INPUT]: images }, OUTPUT);
      for (let row = 0; row < batch.length; row += 1) scores.push(toScores(data.subarray(row * dims[1], (row + 1) * dims[1]), this.card));
    }
    return scores;
  }

  async close(): Promise<void> {
    await this.network.close();
  }
}

/** The scores of one face's logits: temperature for the labels, none for the non-face. */
export function toScores(logits: ArrayLike<number>, card: ModelCard): Scores {
  const all = Array.from(logits);
  return {
    probabilities: softmax(all.slice(0, card.labels.length).map((logit) => logit / card.temperature)),
    reject: card.reject_threshold === null ? 0 : (softmax(all).at(-1) as number),
  };
}

export function softmax(logits: number[]): number[] {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}
