"""Run a face detector on annotated photographs and score it, also after a recognizer's rejection of non-faces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.decoding import read_image
from mien.core.errors import DataError, ModelError
from mien.core.types import Box, Detection
from mien.data.box_files import LabelledBox
from mien.evaluation import detection
from mien.evaluation.detection import Matches
from mien.evaluation.predict import Progress
from mien.inference.detectors import Detector, remove_duplicates
from mien.inference.recognizer import Recognizer

# The stages: boxes as the detector returns them, and without those that the recognizer rejects.
DETECTOR, REJECTION = "detector", "rejection"
SIZES = (0, 16, 24, 32, 48, 64, 96, 128, 192, 300)
BRIGHTNESS = (0, 32, 64, 96, 128, 160, 192, 224)
CONTRAST = (0, 10, 20, 30, 40, 60, 80)
# What is measured of each face, in the order of the tables: the bins of its values.
CONDITIONS = {"size": SIZES, "brightness": BRIGHTNESS, "contrast": CONTRAST}
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

Seen = Callable[[str, NDArray[np.uint8], Matches], object]


class Finder:
    """A detector, and the recognizer that rejects some of its boxes, if there is one.

    Args:
        detector: Finds the boxes.
        recognizer: Has the same detector, and a model that rejects non-faces. None: no rejection.

    Raises:
        ModelError: The recognizer's model cannot reject.
    """

    def __init__(self, detector: Detector, recognizer: Recognizer | None = None) -> None:
        self.detector, self.recognizer = detector, recognizer
        if recognizer is not None and recognizer.card.reject_threshold is None:
            name = recognizer.card.name
            raise ModelError(f"Model '{name}' has no output for non-faces; use another one, such as default.")

    @property
    def stages(self) -> tuple[str, ...]:
        """`DETECTOR`, and `REJECTION` if there is a recognizer."""
        return (DETECTOR,) if self.recognizer is None else (DETECTOR, REJECTION)

    def find(self, pixels: NDArray[np.uint8]) -> tuple[list[Detection], NDArray[np.bool_]]:
        """Return the boxes in an RGB image (h, w, 3), the best-scored first, and whether the recognizer keeps each."""
        if self.recognizer is None:
            found = remove_duplicates(self.detector.detect(pixels))
            return sorted(found, key=lambda one: -one.score), np.ones(len(found), dtype=np.bool_)
        faces = self.recognizer.find(pixels)
        if not faces.crops:
            return [], np.ones(0, dtype=np.bool_)
        reject = self.recognizer.score(faces.crops).reject
        is_kept = np.array([self.recognizer.is_face(float(value)) for value in reject])
        order = np.argsort([-one.score for one in faces.detections], kind="stable")
        return [faces.detections[row] for row in order], is_kept[order]

    def judge(
        self, pixels: NDArray[np.uint8], faces: detection.Rows, is_ignored: NDArray[np.bool_]
    ) -> dict[str, Matches]:
        """Return the matches of an image by stage; `faces` are (n, 4) x, y, width, height, `is_ignored` (n,)."""
        found, is_kept = self.find(pixels)
        scores = np.array([one.score for one in found], dtype=np.float64)
        matches = detection.match(to_rows([one.box for one in found]), scores, faces, is_ignored)
        stages = {DETECTOR: matches, REJECTION: detection.keep_boxes(matches, is_kept)}
        return {stage: stages[stage] for stage in self.stages}


def score_photographs(
    finder: Finder,
    photographs: Mapping[Path, Sequence[LabelledBox]],
    *,
    seen: Seen | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run a detector on photographs with annotated boxes.

    Args:
        finder: The detector, and the recognizer, if any.
        photographs: Their boxes, as `mien.data.box_files.read_boxes` returns them.
        seen: Called with the name, the pixels and the matches (after the last stage) of each photograph.
        progress: Called with 1 after each photograph.

    Returns:
        A JSON-ready dict without dates or paths: `detector` and `model` (None without a recognizer), their names;
        `ignored`, annotated boxes that count neither way; and `stages`: for `detector`, and `rejection` if there is a
        recognizer, the counts (`detection.count`); `by`, per condition the rows of `detection.recall_by`: `size` in
        pixels (longer side), `brightness` and `contrast` (mean and standard deviation of the grey values in the box);
        `thresholds` (`detection.sweep`) and `calibration`.

    Raises:
        DataError: There are no photographs.
        ImageError: A photograph cannot be read.
    """
    if not photographs:
        raise DataError("No photographs to score; expected one or more with boxes.")
    judged: list[dict[str, Matches]] = []
    measured: list[detection.Rows] = []
    for path, boxes in photographs.items():
        pixels = read_image(path)
        faces = to_rows([labelled.box for labelled in boxes])
        is_ignored = np.array([labelled.is_ignored for labelled in boxes], dtype=np.bool_)
        matches = finder.judge(pixels, faces, is_ignored)
        judged.append(matches)
        measured.append(measure_faces(pixels, faces[~is_ignored]))
        if seen is not None:
            seen(path.name, pixels, matches[finder.stages[-1]])
        if progress is not None:
            progress(1)
    conditions = dict(zip(CONDITIONS, np.concatenate(measured).T, strict=True))
    return {
        "detector": finder.detector.name,
        "model": finder.recognizer.card.name if finder.recognizer else None,
        "ignored": sum(box.is_ignored for boxes in photographs.values() for box in boxes),
        "stages": {stage: _score_stage([one[stage] for one in judged], conditions) for stage in finder.stages},
    }


def measure_faces(pixels: NDArray[np.uint8], faces: detection.Rows) -> detection.Rows:
    """Return (n, 3): the longer side of each box, the mean and the standard deviation of the grey values in it.

    The last two are NaN for boxes outside the image.
    """
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY))
    rows = []
    for (x, y, width, height), side in zip(faces, detection.sides(faces), strict=True):
        left, top = max(round(x), 0), max(round(y), 0)
        part = grey[top : max(round(y + height), 0), left : max(round(x + width), 0)]
        rows.append((side, part.mean(), part.std()) if part.size else (side, np.nan, np.nan))
    return np.array(rows, dtype=np.float64).reshape(-1, len(CONDITIONS))


def to_rows(boxes: Sequence[Box]) -> detection.Rows:
    """Return boxes as rows (n, 4): x, y, width, height."""
    rows = [(box.x, box.y, box.width, box.height) for box in boxes]
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def _score_stage(matches: list[Matches], conditions: Mapping[str, NDArray[np.float64]]) -> dict[str, Any]:
    is_found = np.concatenate([one.is_found for one in matches])
    lowest = min((float(one.scores[-1]) for one in matches if len(one.scores)), default=0.0)
    # of the thresholds below all scores, only the last differs from none
    thresholds = [low for low, high in zip(THRESHOLDS, (*THRESHOLDS[1:], 1.0), strict=True) if high > lowest]
    return {
        **detection.count(matches),
        "by": {name: detection.recall_by(values, is_found, CONDITIONS[name]) for name, values in conditions.items()},
        "thresholds": detection.sweep(matches, thresholds),
        "calibration": detection.calibration(matches),
    }
