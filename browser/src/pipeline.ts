// Find the faces of an image, cut them out and score them: the counterpart of src/mien/inference/recognizer.py.

import { centreOf, withoutDuplicates, type Detection } from "./boxes.js";
import type { CropSpec, ModelCard } from "./card.js";
import { cropFace, fitFace, rollToUndo } from "./crop.js";
import { WholeImage, type Detector } from "./detector.js";
import type { ExpressionNetwork, Scores } from "./expression_network.js";
import type { Plane } from "./planes.js";
import { toFace, toShares, type ImageResult } from "./results.js";

const WHOLE: CropSpec = { scale: 1, shift_x: 0, shift_y: 0 };

/** A face detector and an expression network. */
export class Pipeline {
  constructor(
    private readonly network: ExpressionNetwork,
    readonly detector: Detector,
    private readonly useRejection = true,
  ) {}

  get card(): ModelCard {
    return this.network.card;
  }

  /** The same network with each image taken as one face. */
  withoutDetector(): Pipeline {
    return new Pipeline(this.network, new WholeImage(), this.useRejection);
  }

  async recognize(image: Plane, source: string): Promise<ImageResult> {
    const detections = (await this.detect(image)).sort(fromLeft);
    const scores = await this.score(detections.map((detection) => this.crop(image, detection)));
    const kept = detections.map((detection, index) => ({ ...detection, ...scores[index] })).filter(({ reject }) => this.isFace(reject));
    const faces = kept.map((face, index) => toFace(face, index + 1, this.card));
    return { source, image_width: image.width, image_height: image.height, faces, shares: toShares(faces, this.card) };
  }

  /** The faces of an image, without duplicates, best first. */
  async detect(image: Plane): Promise<Detection[]> {
    return withoutDuplicates(await this.detector.detect(image));
  }

  /** Cut a face out and turn it upright, as the network takes it. */
  crop(image: Plane, { box, roll }: Detection): Plane {
    const crop = this.detector.isWholeImage ? WHOLE : this.card.crop;
    return fitFace(cropFace(image, box, crop, rollToUndo(roll)), this.card.input);
  }

  score(crops: Plane[]): Promise<Scores[]> {
    return this.network.score(crops);
  }

  /** Whether a box counts as a face, given the probability that it is a non-face. */
  isFace(reject: number): boolean {
    const threshold = this.card.reject_threshold;
    return threshold === null || !this.useRejection || this.detector.isWholeImage || reject <= threshold;
  }
}

function fromLeft(a: Detection, b: Detection): number {
  const [[ax, ay], [bx, by]] = [centreOf(a.box), centreOf(b.box)];
  return ax - bx || ay - by;
}
