"""Measure where the landmarks of FER2013's faces are: the mean face used if a detector finds no landmarks.

The medians, made symmetric and rounded, are `MEAN_FACE` in `mien/explain/regions.py`. The last figure is the cost of
using it: the share of faces whose own landmarks are in the right part of the mean face.

    python -m lab.benchmarks.face_regions --data FER2013 --out results/face_regions.json
"""

from __future__ import annotations

import cv2
import numpy as np

from lab.benchmarks.command import draw_faces_of, make_parser, write_record
from mien.explain.regions import MEAN_FACE, REGIONS, face_regions, find_landmarks
from mien.inference.detectors.yunet import YuNet

LANDMARKS = ("right eye", "left eye", "nose tip", "right mouth corner", "left mouth corner")
PARTS = ("eyes", "eyes", "nose", "mouth", "mouth")
# Of the grid on which landmarks are looked up.
SIDE = 480


def main() -> None:
    """Write medians and quartiles of the landmarks, and how often they are in the mean face's parts."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--faces", type=int, default=3000, help="how many Training frames to use")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    images, detector = draw_faces_of(options.data, "train", options.faces).images, YuNet()
    points = np.array([found for image in images if (found := find_landmarks(image, detector)) is not None])
    low, median, high = np.quantile(points, [0.25, 0.5, 0.75], axis=0).round(4).tolist()
    cells = np.clip((points * SIDE).astype(int), 0, SIDE - 1)
    parts = face_regions(SIDE, SIDE)[cells[..., 1], cells[..., 0]]
    hits = (parts == [REGIONS.index(part) for part in PARTS]).mean(axis=0)
    landmarks = {
        name: {
            "median": median[i],
            "low": low[i],
            "high": high[i],
            "mean_face": MEAN_FACE[i].tolist(),
            "in_part_of_mean_face": round(float(hits[i]), 4),
        }
        for i, name in enumerate(LANDMARKS)
    }
    write_record({"faces": len(images), "split": "train", "found": len(points), "landmarks": landmarks}, options.out)


if __name__ == "__main__":
    main()
