"""Measure what finding a face costs in accuracy, against classifying its frame directly; tests `CropSpec`'s numbers.

PublicTest frames, enlarged 2 to 6 times, are pasted into photographs without a face ("photograph") or continued by
their own border ("border"). Real faces, with their own surroundings, are between the two. A detector looks for them,
the crop cuts them out, and the network's label is compared with that of the frame itself. Other crops are tried on the
same boxes.

    python -m lab.benchmarks.agreement --data FER2013 --out results/agreement.json
"""

from __future__ import annotations

import json

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.command import draw_faces_of, make_parser, write_record
from lab.benchmarks.scenes import FoundFrame, find_pasted
from mien.core.card import CropSpec
from mien.core.image import crop_face, to_batch
from mien.inference.detectors.haar import Haar
from mien.inference.detectors.yunet import YuNet
from mien.inference.model import OnnxModel

CONTEXTS = ("photograph", "border")
CROPS = [(scale, shift) for scale in (0.95, 1.0, 1.05, 1.1, 1.15) for shift in (0.0, 0.02)]


def measure(
    model: OnnxModel, found: list[FoundFrame], crop: CropSpec, direct: NDArray[np.intp], truth: NDArray[np.int64]
) -> dict[str, float]:
    """Return shares of the faces found: same label as the frame, correct label, and rejected as a non-face."""
    scores = model.predict(to_batch([crop_face(face.image, face.box, crop) for face in found], model.card.input))
    labels, rows = scores.probabilities.argmax(axis=1), [face.row for face in found]
    threshold = model.card.reject_threshold
    figures = {
        "same_label": np.mean(labels == direct[rows]),
        "accuracy": np.mean(labels == truth[rows]),
        "dropped": np.mean(scores.reject > threshold) if threshold is not None else 0.0,
    }
    return {key: round(float(value), 4) for key, value in figures.items()}


def main() -> None:
    """Measure both detectors in both contexts."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--model", default="default", help="model by name, or an .onnx file")
    parser.add_argument("--faces", type=int, default=1000, help="how many PublicTest frames to paste")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    chosen, model = draw_faces_of(options.data, "validation", options.faces), OnnxModel.load(options.model)
    truth, images = chosen.labels, np.asarray(chosen.images)
    direct = model.predict(to_batch(list(images), model.card.input)).probabilities.argmax(axis=1)
    record: dict[str, object] = {"model": model.card.name, "faces": len(chosen), "split": "validation"}
    for detector in (YuNet(), Haar()):
        for context in CONTEXTS:
            found = list(find_pasted(detector, images, use_border=context == "border"))
            rows = [face.row for face in found]
            figures: dict[str, object] = {
                **measure(model, found, model.card.crop, direct, truth),
                "found": round(len(found) / len(chosen), 4),
                "accuracy_direct": round(float(np.mean(direct[rows] == truth[rows])), 4),
            }
            if isinstance(detector, YuNet):
                figures["crops"] = [
                    {"scale": scale, "shift_y": shift} | measure(model, found, CropSpec(scale, 0, shift), direct, truth)
                    for scale, shift in CROPS
                ]
            record[f"{detector.name}_{context}"] = figures
            print(detector.name, context, json.dumps(figures), flush=True)
    write_record(record, options.out)


if __name__ == "__main__":
    main()
