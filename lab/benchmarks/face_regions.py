"""Measure where the landmarks of FER2013's faces lie: the mean face that `mien faithfulness` falls back to.

Where a detector finds no landmarks, the parts of a face are drawn around those of a mean face (`MEAN_FACE` in
`mien/explain/regions.py`: the medians below, made symmetric and rounded). The second figure says what that costs: the
share of the faces whose own landmarks lie in the right part of the mean face.

    python -m lab.benchmarks.face_regions --data FER2013 --yunet YUNET.onnx
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from mien.data import registry
from mien.explain.regions import MEAN_FACE, REGIONS, face_regions, find_landmarks
from mien.inference.detectors.yunet import YuNet

LANDMARKS = ("right eye", "left eye", "nose tip", "right mouth corner", "left mouth corner")
PARTS = ("eyes", "eyes", "nose", "mouth", "mouth")
# Of the grid on which landmarks are looked up.
SIDE = 480


def main() -> None:
    """Print medians and quartiles of the landmarks, and how often they lie in the mean face's parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="FER2013's file or folder")
    parser.add_argument("--yunet", type=Path, required=True, help="YuNet's .onnx file")
    parser.add_argument("--faces", type=int, default=3000, help="how many Training frames to look at")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    images = registry.load("fer2013", options.data).split("train").images
    chosen = np.sort(np.random.default_rng(0).choice(len(images), min(options.faces, len(images)), replace=False))
    detector = YuNet(options.yunet)
    found = [points for row in chosen if (points := find_landmarks(images[row], detector)) is not None]
    points = np.array(found)
    low, median, high = np.quantile(points, [0.25, 0.5, 0.75], axis=0)
    cells = np.clip((points * SIDE).astype(int), 0, SIDE - 1)
    parts = face_regions(SIDE, SIDE)[cells[..., 1], cells[..., 0]]
    hits = (parts == [REGIONS.index(part) for part in PARTS]).mean(axis=0)
    record = {
        "faces": len(chosen),
        "split": "train",
        "found": len(points),
        "landmarks": {
            name: {
                "median": np.round(median[i], 4).tolist(),
                "low": np.round(low[i], 4).tolist(),
                "high": np.round(high[i], 4).tolist(),
                "mean_face": MEAN_FACE[i].tolist(),
                "in_part_of_mean_face": round(float(hits[i]), 4),
            }
            for i, name in enumerate(LANDMARKS)
        },
    }
    print(json.dumps(record, indent=1))
    if options.out:
        options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
