// Face detectors: mien's own, and none, which takes the image as the face.

import type { Box, Detection } from "./boxes.js";
import { DEFAULT_CROP, readDetectorCard, type DetectorCard } from "./card.js";
import { MienError } from "./errors.js";
import { findFaces, type FaceRow, type Maps } from "./face_maps.js";
import { toGrey, newPlane, type Plane } from "./planes.js";
import { Network, type Runtime } from "./runtime.js";

export interface Detector {
  readonly name: string;
  /** Whether each image is taken as one face. */
  readonly isWholeImage: boolean;
  /** The faces of an upright image, best first. */
  detect(image: Plane): Promise<Detection[]>;
}

export interface DetectorOptions {
  /** The side of the smallest face to find, in pixels of the image. */
  smallestFace?: number;
  /** The most pixels that the network sees at once. */
  budget?: number;
}

const SMALLEST_FACE = 24;
const BUDGET = 4_000_000;
const [INPUT, OUTPUT] = ["image", "maps"];
const WIDTH = 0.89; // of a tight box, as a share of the side of the face's square; its height is the inverse
const SUPPORT = 0.5; // boxes with this share of the threshold sharpen the position of others

export class MienDetector implements Detector {
  readonly name = "mien";
  readonly isWholeImage = false;

  private constructor(
    private readonly runtime: Runtime,
    private readonly network: Network,
    private readonly card: DetectorCard,
    private readonly smallestFace: number,
    private readonly budget: number,
  ) {}

  static async load(runtime: Runtime, data: Uint8Array, source: string, options: DetectorOptions = {}): Promise<MienDetector> {
    const { smallestFace = SMALLEST_FACE, budget = BUDGET } = options;
    if (!(smallestFace > 0 && Number.isFinite(smallestFace))) {
      throw new MienError("usage", `The smallest face is ${smallestFace} pixels; expected a number above 0.`);
    }
    if (!(budget >= 10_000)) throw new MienError("usage", `The detector's budget is ${budget} pixels; expected at least 10,000.`);
    const card = readDetectorCard(data, source);
    const network = await Network.start(runtime, data, source, { [INPUT]: toTensor(runtime, newPlane(320, 240, 1)) });
    const detector = new MienDetector(runtime, network, card, smallestFace, budget);
    const maps = await detector.#run(newPlane(72, 64, 1)).catch(() => null);
    if (maps?.rows !== 8 || maps.columns !== 9 || maps.data.length !== 6 * 72) {
      throw new MienError("model", `${source} does not return the maps of a mien face detector; expected a detector that mien trained.`);
    }
    return detector;
  }

  get backend(): string {
    return this.network.backend;
  }

  async detect(image: Plane): Promise<Detection[]> {
    const { smallestFace, budget, card } = this;
    const options = { smallestFace, budget, leastScore: SUPPORT * card.threshold };
    const rows = await findFaces(toGrey(image), (level) => this.#run(level), card, options);
    return rows.filter(({ score }) => score >= card.threshold).map(toDetection);
  }

  async #run(level: Plane): Promise<Maps> {
    const { data, dims } = await this.network.run({ [INPUT]: toTensor(this.runtime, level) }, OUTPUT);
    return { data, rows: dims[2], columns: dims[3] };
  }
}

/** Takes the image as the face; if it is not square, it is centred in a square of its long side. */
export class WholeImage implements Detector {
  readonly name = "none";
  readonly isWholeImage = true;

  async detect({ width, height }: Plane): Promise<Detection[]> {
    const side = Math.max(width, height);
    return [{ box: { x: (width - side) / 2, y: (height - side) / 2, width: side, height: side }, score: 1, roll: 0 }];
  }
}

/** The detection from which `cropFace` with the default crop and that roll cuts the face's square. */
export function toDetection({ cx, cy, side, score, roll }: FaceRow): Detection {
  const { scale, shift_x: across, shift_y: down } = DEFAULT_CROP;
  const angle = (roll * Math.PI) / 180;
  const x = cx - side * (across * Math.cos(angle) - down * Math.sin(angle));
  const y = cy - side * (across * Math.sin(angle) + down * Math.cos(angle));
  const [width, height] = [(side / scale) * WIDTH, side / scale / WIDTH];
  const box: Box = { x: x - width / 2, y: y - height / 2, width, height };
  return { box, score, roll };
}

function toTensor({ ort }: Runtime, { data, width, height }: Plane): InstanceType<Runtime["ort"]["Tensor"]> {
  return new ort.Tensor("uint8", data as Uint8Array, [1, 1, height, width]);
}
