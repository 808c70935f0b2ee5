"""Measure what finding a face costs, against recognising its frame directly; chooses `CropSpec`'s numbers.

PublicTest frames, enlarged 2 to 6 times, are pasted into photographs without a face ("photograph"), or continued by
their own border ("border"): the truth lies between, for a real face has its own surroundings. A detector must find
them, the crop must cut them as the network knows them, and the network should give the label that it gives to the frame
itself. Crops beside the model's own are tried on the same boxes.

    python -m lab.benchmarks.agreement --data FER2013 --yunet YUNET.onnx
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.scenes import enlarge, photographs
from mien.core.card import CropSpec
from mien.core.image import crop_face, to_batch
from mien.core.types import Box
from mien.data import registry
from mien.inference.detectors import Detector
from mien.inference.detectors.haar import Haar
from mien.inference.detectors.yunet import YuNet
from mien.inference.model import OnnxModel

CONTEXTS = ("photograph", "border")
CROPS = [(scale, shift) for scale in (0.95, 1.0, 1.05, 1.1, 1.15) for shift in (0.0, 0.02)]


@dataclass(frozen=True)
class Found:
    """The pictures and boxes of the faces that a detector found, and their row numbers."""

    pictures: list[NDArray[np.uint8]]
    boxes: list[Box]
    rows: list[int]


def find(detector: Detector, faces: NDArray[np.uint8], context: str) -> Found:
    """Put every face (n, 48, 48) into a picture twice as wide and keep those that the detector finds."""
    rng, backgrounds, found = np.random.default_rng(0), photographs(), Found([], [], [])
    for row, face in enumerate(faces):
        side = int(48 * rng.uniform(2, 6))
        start = side // 2
        large = enlarge(face, side)
        background = backgrounds[rng.integers(len(backgrounds))]
        if context == "border":
            rims = (start, side - start, start, side - start)
            grey = cv2.copyMakeBorder(large, *rims, cv2.BORDER_REPLICATE)
            picture = np.repeat(np.asarray(grey, dtype=np.uint8)[:, :, None], 3, axis=2)
        else:
            picture = np.asarray(cv2.resize(background, (2 * side, 2 * side)), dtype=np.uint8)
            picture[start : start + side, start : start + side] = large[:, :, None]
        middle = start + side / 2
        near = [d for d in detector.detect(picture) if max(abs(c - middle) for c in d.box.centre) < side / 4]
        if near:
            found.pictures.append(picture)
            found.boxes.append(max(near, key=lambda d: d.score).box)
            found.rows.append(row)
    return found


def measure(
    model: OnnxModel, found: Found, crop: CropSpec, direct: NDArray[np.intp], truth: NDArray[np.int64]
) -> dict[str, float]:
    """Return shares of the faces found: same label as the frame, right label, and dropped as no face."""
    crops = [crop_face(picture, box, crop) for picture, box in zip(found.pictures, found.boxes, strict=True)]
    scores = model.predict(to_batch(crops, model.card.input))
    labels = scores.probabilities.argmax(axis=1)
    threshold = model.card.reject_threshold
    return {
        "same_label": float(np.mean(labels == direct[found.rows])),
        "accuracy": float(np.mean(labels == truth[found.rows])),
        "dropped": float(np.mean(scores.reject > threshold)) if threshold is not None else 0.0,
    }


def main() -> None:
    """Print the figures of both detectors, and write them to a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="FER2013's file or folder")
    parser.add_argument("--yunet", type=Path, required=True, help="YuNet's .onnx file")
    parser.add_argument("--model", default="default", help="model by name, or an .onnx file")
    parser.add_argument("--faces", type=int, default=1000, help="how many PublicTest frames to paste")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    split = registry.load("fer2013", options.data).split("validation")
    rows = np.sort(np.random.default_rng(0).choice(len(split), min(options.faces, len(split)), replace=False))
    chosen, model = split.subset(rows), OnnxModel.load(options.model)
    truth = chosen.labels
    direct = model.predict(to_batch(list(chosen.images), model.card.input)).probabilities.argmax(axis=1)
    record: dict[str, object] = {"model": model.card.name, "faces": len(chosen), "split": "validation"}
    detectors: list[Detector] = [YuNet(options.yunet), Haar()]
    for detector in detectors:
        for context in CONTEXTS:
            found = find(detector, np.asarray(chosen.images), context)
            figures = measure(model, found, model.card.crop, direct, truth)
            figures["found"] = len(found.rows) / len(chosen)
            figures["accuracy_direct"] = float(np.mean(direct[found.rows] == truth[found.rows]))
            rounded: dict[str, object] = {key: round(value, 4) for key, value in figures.items()}
            if detector.name == "yunet":
                rounded["crops"] = [
                    {"scale": scale, "shift_y": shift}
                    | {
                        key: round(value, 4)
                        for key, value in measure(model, found, CropSpec(scale, 0, shift), direct, truth).items()
                    }
                    for scale, shift in CROPS
                ]
            record[f"{detector.name}_{context}"] = rounded
            print(detector.name, context, json.dumps(rounded), flush=True)
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
