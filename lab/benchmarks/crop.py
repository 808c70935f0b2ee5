"""Measure which part of a detected face box FER2013's 48 x 48 frames show.

The network learns from FER2013's loose frames, so a detected face must be cut the same way. Frames are
enlarged 2 to 6 times and pasted into photographs twice as wide; where a detector finds the face, the
pasted frame is compared with the box. Medians go into `CropSpec` (YuNet) and into `Haar` (its square as
YuNet's box).

    python -m lab.benchmarks.crop --data FER2013 --yunet YUNET.onnx
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.scenes import enlarge, photographs
from mien.core.types import Box
from mien.data import registry
from mien.inference.detectors import Detector
from mien.inference.detectors.haar import Haar
from mien.inference.detectors.yunet import YuNet


class HaarSquare(Haar):
    """Haar's own square, before it is turned into YuNet's box."""

    width, height, shift_x, shift_y = 1.0, 1.0, 0.0, 0.0


def measure(detector: Detector, faces: NDArray[np.uint8], seed: int = 0) -> NDArray[np.float64]:
    """Return one row a face found: frame / sqrt(w * h), then shifts and box sides in frame sides."""
    rng = np.random.default_rng(seed)
    backgrounds, rows = photographs(), []
    for face in faces:
        side = int(48 * rng.uniform(2, 6))
        start = side // 2
        picture = cv2.resize(backgrounds[rng.integers(len(backgrounds))], (2 * side, 2 * side))
        picture[start : start + side, start : start + side] = enlarge(face, side)[:, :, None]
        middle = start + side / 2
        near = [d for d in detector.detect(picture) if max(abs(c - middle) for c in d.box.centre) < side / 4]
        if near:
            rows.append(_relation(max(near, key=lambda d: d.score).box, side, middle))
    return np.array(rows)


def main() -> None:
    """Print medians, quartiles and detection rates of both detectors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="FER2013's file or folder")
    parser.add_argument("--yunet", type=Path, required=True, help="YuNet's .onnx file")
    parser.add_argument("--faces", type=int, default=1500, help="how many Training frames to paste")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    images = registry.load("fer2013", options.data).split("train").images
    chosen = np.random.default_rng(0).choice(len(images), min(options.faces, len(images)), replace=False)
    detectors: list[Detector] = [YuNet(options.yunet), HaarSquare()]
    record: dict[str, object] = {"faces": len(chosen), "split": "train"}
    for detector in detectors:
        rows = measure(detector, np.asarray(images[np.sort(chosen)]))
        low, median, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0)
        print(f"{detector.name}: {len(rows)} of {len(chosen)} faces found ({len(rows) / len(chosen):.1%})")
        columns = ("scale", "shift_x", "shift_y", "width / side", "height / side")
        record[detector.name] = figures = {"found": len(rows)}
        for name, *values in zip(columns, median, low, high, strict=True):
            print("  {:13s} median {:7.3f}   quartiles {:7.3f} to {:7.3f}".format(name, *values))
            figures[name] = dict(zip(("median", "low", "high"), np.round(values, 4).tolist(), strict=True))
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _relation(box: Box, side: float, middle: float) -> list[float]:
    x, y = box.centre
    scale = side / np.sqrt(box.width * box.height)
    return [scale, (middle - x) / side, (middle - y) / side, box.width / side, box.height / side]


if __name__ == "__main__":
    main()
