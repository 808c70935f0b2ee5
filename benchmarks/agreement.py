"""Measure what finding a face costs: recognising it in a picture against recognising its frame directly.

PublicTest frames, enlarged 2 to 6 times, are pasted into photographs without a face. A detector must find them, the
crop must cut them as the network knows them, and the network must give the label that it gives to the frame itself.
The false boxes of the photographs tell what "not a face" drops.

    python benchmarks/agreement.py --data FER2013 --yunet YUNET.onnx
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.types import Face
from mien.data import registry
from mien.inference.recognizer import Recognizer
from scenes import enlarge, photographs

SHARE = 0.25  # how far a box's middle may lie from the frame's, in frame sides


def measure(recognizer: Recognizer, direct: Recognizer, faces: NDArray[np.uint8], truth: list[str]) -> dict[str, float]:
    """Return shares: faces found; and among these, equal labels, and right labels in the picture and directly."""
    rng = np.random.default_rng(0)
    backgrounds = photographs()
    found = same = right_pasted = right_direct = rejected = 0
    for face, label in zip(faces, truth, strict=True):
        side = int(48 * rng.uniform(2, 6))
        start = side // 2
        picture = cv2.resize(backgrounds[rng.integers(len(backgrounds))], (2 * side, 2 * side))
        picture[start : start + side, start : start + side] = enlarge(face, side)[:, :, None]
        result = recognizer.recognize(np.asarray(picture, dtype=np.uint8))
        near = [f for f in result.faces if _is_near(f, start + side / 2, side)]
        rejected += not near and result.rejected > 0
        if near:
            pasted = max(near, key=lambda f: f.score).label
            alone = direct.recognize(face).faces[0].label
            found, same = found + 1, same + (pasted == alone)
            right_pasted, right_direct = right_pasted + (pasted == label), right_direct + (alone == label)
    return {
        "found": found / len(faces),
        "dropped_as_no_face": rejected / len(faces),
        "same_label": same / found,
        "accuracy_found": right_pasted / found,
        "accuracy_direct": right_direct / found,
    }


def false_boxes(recognizer: Recognizer, keeping: Recognizer) -> dict[str, int]:
    """Return how many boxes photographs without a face give, before and after "not a face" drops some."""
    pictures = [
        p for photograph in photographs() for p in (photograph, photograph[:, ::-1].copy(), photograph[::-1].copy())
    ]
    return {
        "pictures": len(pictures),
        "boxes": sum(len(r.faces) for r in keeping.recognize_batch(pictures)),
        "kept": sum(len(r.faces) for r in recognizer.recognize_batch(pictures)),
    }


def main() -> None:
    """Print the figures of both detectors."""
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
    chosen = split.subset(rows)
    truth = [split.label_set.names[i] for i in chosen.labels]
    direct = Recognizer(options.model, "none")
    record: dict[str, object] = {"model": direct.card.name, "faces": len(chosen), "split": "validation"}
    for name in ("yunet", "haar"):
        recognizer = Recognizer(options.model, name, yunet=options.yunet)
        keeping = Recognizer(options.model, name, yunet=options.yunet, use_rejection=False)
        figures = measure(recognizer, direct, np.asarray(chosen.images), truth)
        rounded = {key: round(value, 4) for key, value in figures.items()}
        record[name] = rounded | {"false_boxes": false_boxes(recognizer, keeping)}
        print(name, json.dumps(record[name]))
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _is_near(face: Face, middle: float, side: float) -> bool:
    return max(abs(c - middle) for c in face.box.centre) < side * SHARE


if __name__ == "__main__":
    main()
