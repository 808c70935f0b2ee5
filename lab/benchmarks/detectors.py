"""Compare face detectors and Haar's settings on photographs with known faces; chooses `Haar`'s numbers.

FER2013's frames are pasted onto photographs without a face, four per image, 48 pixels to 45 % of its height; two
public-domain portraits are added. Times are ratios to the first row, on one thread.

    python -m lab.benchmarks.detectors --data FER2013 --scenes 44 --out results/detectors.json
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from matplotlib import get_data_path

from lab.benchmarks.command import make_parser, write_record
from lab.benchmarks.scenes import Scene, paste, photographs
from mien.core.card import CropSpec
from mien.core.image import as_rgb, read_image
from mien.core.types import Box, Detection
from mien.data import registry
from mien.inference.detectors import Detector, remove_duplicates
from mien.inference.detectors.haar import Haar
from mien.inference.detectors.yunet import YuNet

Row = dict[str, object]
CASCADES = ("default", "alt", "alt2")


class HaarSettings(Haar):
    """Haar with settings to compare."""

    def __init__(self, cascade: str, scale_factor: float, min_neighbours: int, smallest: int) -> None:
        """Take the parameters of `cv2.CascadeClassifier.detectMultiScale`; `smallest` in pixels."""
        self.cascade = f"haarcascade_frontalface_{cascade}.xml"
        self.scale_factor, self.min_neighbours, self.smallest = scale_factor, min_neighbours, smallest
        super().__init__()

    @property
    def label(self) -> str:
        """The settings in words."""
        cascade = self.cascade.removesuffix(".xml").rpartition("_")[2]
        return f"haar {cascade} {self.scale_factor} / {self.min_neighbours} / {self.smallest} px"


def judge(scene: Scene, detections: list[Detection], crop: CropSpec) -> tuple[int, int]:
    """Return how many frames were found and how many boxes are false.

    A frame is found if a box, cropped with `crop`, is centred within a quarter of the frame's side and has a side
    within a factor of 1.5 of it.
    """
    found = [[_fits(frame, d.box, crop) for d in detections] for frame in scene.frames]
    false = sum(not any(row[i] for row in found) for i in range(len(detections)))
    return sum(any(row) for row in found), false


def compare(detectors: dict[str, Detector], scenes: list[Scene], portraits: list[np.ndarray]) -> list[Row]:
    """Print and return one row per detector."""
    faces, crop, base = sum(len(scene.frames) for scene in scenes), CropSpec(), 0.0
    print(f"{len(scenes)} images, {faces} faces; {len(portraits)} portraits")
    print(f"{'detector':30s} recall  false boxes per image  portraits  time")
    rows = []
    for label, detector in detectors.items():
        start = time.perf_counter()
        boxes = [remove_duplicates(detector.detect(scene.image)) for scene in scenes]
        seconds = time.perf_counter() - start
        base = base or seconds
        found, false = np.sum([judge(*pair, crop) for pair in zip(scenes, boxes, strict=True)], axis=0)
        extra = [len(remove_duplicates(detector.detect(portrait))) for portrait in portraits]
        numbers = f"{found / faces:6.1%}  {false / len(scenes):22.2f}  {extra!s:>9s}  {seconds / base:4.2f}"
        print(f"{label:30s} {numbers}  ({1000 * seconds / len(scenes):.0f} ms)", flush=True)
        row = {
            "detector": label,
            "recall": found / faces,
            "false_boxes": false / len(scenes),
            "boxes_in_portraits": extra,
        }
        rows.append(row | {"time_ratio": seconds / base})
    return rows


def main() -> None:
    """Compare YuNet with a grid of Haar's settings."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--scenes", type=int, default=60, help="how many images to make")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    images = registry.load("fer2013", options.data).split("train").images
    rng, backgrounds = np.random.default_rng(0), photographs()
    scenes = [
        paste(backgrounds[i % len(backgrounds)], images[rng.integers(len(images), size=4)], rng)
        for i in range(options.scenes)
    ]
    grid = itertools.product(CASCADES, (1.1, 1.2, 1.3), (3, 5, 8), (32,))
    settings = [HaarSettings(*values) for values in [*grid, ("default", 1.1, 5, 24), ("default", 1.1, 5, 48)]]
    hopper = Path(get_data_path(), "sample_data", "grace_hopper.jpg")
    portraits = [as_rgb(skimage.data.astronaut()), read_image(hopper)]
    rows = compare({"yunet": YuNet(), **{s.label: s for s in settings}}, scenes, portraits)
    faces = sum(len(scene.frames) for scene in scenes)
    write_record({"pictures": len(scenes), "faces": faces, "threads": 1, "rows": rows}, options.out)


def _fits(frame: Box, box: Box, crop: CropSpec) -> bool:
    side = crop.scale * np.sqrt(box.width * box.height)
    offsets = [abs(a - b) for a, b in zip(frame.centre, box.centre, strict=True)]
    return bool(max(offsets) < frame.width / 4 and 1 / 1.5 < side / frame.width < 1.5)


if __name__ == "__main__":
    main()
