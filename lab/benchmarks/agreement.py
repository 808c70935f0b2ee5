"""Measure what finding a face costs in accuracy, against classifying its frame directly; tests `CropSpec`'s numbers.

PublicTest frames, enlarged 2 to 6 times, are pasted into photographs without a face, upright ("photograph") or turned
by 30 degrees to either side ("tilted"), or continued by their own border ("border"). Real faces, with their own
surroundings, are between the two. A detector looks for them, the crop cuts them out, turned upright if the detector
says how they are turned, and the network's label is compared with that of the upright frame itself. For YuNet, other
crops are tried on the same boxes.

    python -m lab.benchmarks.agreement --data FER2013 --out results/agreement.json
"""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.command import available_detectors, draw_faces_of, make_parser, write_record
from lab.benchmarks.scenes import FoundFrame, find_pasted
from mien.core.card import CropSpec
from mien.core.image import crop_face, roll_to_undo, to_batch
from mien.inference.detectors.yunet import YuNet
from mien.inference.model import OnnxModel

# What each context asks of `find_pasted`.
CONTEXTS: dict[str, dict[str, Any]] = {"photograph": {}, "border": {"use_border": True}, "tilted": {"tilt": 30.0}}
CROPS = [(scale, shift) for scale in (0.95, 1.0, 1.05, 1.1, 1.15) for shift in (0.0, 0.02)]


def measure(
    model: OnnxModel, found: list[FoundFrame], crop: CropSpec, direct: NDArray[np.intp], truth: NDArray[np.int64]
) -> dict[str, float]:
    """Return shares of the faces found: same label as the frame, correct label, and rejected as a non-face."""
    crops = [crop_face(face.image, face.detection.box, crop, roll_to_undo(face.detection.roll)) for face in found]
    scores = model.predict(to_batch(crops, model.card.input))
    labels, rows = scores.probabilities.argmax(axis=1), [face.row for face in found]
    threshold = model.card.reject_threshold
    figures = {
        "same_label": np.mean(labels == direct[rows]),
        "accuracy": np.mean(labels == truth[rows]),
        "dropped": np.mean(scores.reject > threshold) if threshold is not None else 0.0,
    }
    return {key: round(float(value), 4) for key, value in figures.items()}


def main() -> None:
    """Measure all detectors in all contexts."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--model", default="default", help="model by name, or an .onnx file")
    parser.add_argument("--faces", type=int, default=1000, help="how many PublicTest frames to paste")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    chosen, model = draw_faces_of(options.data, "validation", options.faces), OnnxModel.load(options.model)
    truth, images = chosen.labels, np.asarray(chosen.images)
    direct = model.predict(to_batch(list(images), model.card.input)).probabilities.argmax(axis=1)
    record: dict[str, object] = {"model": model.card.name, "faces": len(chosen), "split": "validation"}
    for name, detector in available_detectors().items():
        for context, settings in CONTEXTS.items():
            found = list(find_pasted(detector, images, **settings))
            rows = [face.row for face in found]
            figures: dict[str, object] = {
                **measure(model, found, model.card.crop, direct, truth),
                "found": round(len(found) / len(chosen), 4),
                "accuracy_direct": round(float(np.mean(direct[rows] == truth[rows])), 4),
            }
            if isinstance(detector, YuNet) and not settings.get("tilt"):
                figures["crops"] = [
                    {"scale": scale, "shift_y": shift} | measure(model, found, CropSpec(scale, 0, shift), direct, truth)
                    for scale, shift in CROPS
                ]
            record[f"{name}_{context}"] = figures
            print(name, context, json.dumps(figures), flush=True)
    write_record(record, options.out)


if __name__ == "__main__":
    main()
