"""Accuracy kept under corruptions, with a network of known answers: happy if bright, sad if dark."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.core.expressions import FER2013_LABELS
from mien.data.dataset import FaceDataset
from mien.data.protocols import ROW
from mien.evaluation.robustness import measure_robustness
from mien.inference.model import OnnxModel

N = 12


def make(duplicates: int = 0) -> FaceDataset:
    """Bright happy faces and dark sad ones in turn, with some texture; the first `duplicates` are in training too."""
    generator = np.random.default_rng(0)
    is_dark = np.arange(N) % 2 == 1
    levels = np.where(is_dark, 60, 190)[:, None, None]
    images = np.clip(levels + generator.normal(0, 30, (N, 48, 48)), 0, 255).astype(np.uint8)
    labels = np.where(is_dark, FER2013_LABELS.index("sad"), FER2013_LABELS.index("happy"))
    rows = [*range(N), *range(duplicates)]
    splits = np.array(["validation"] * N + ["train"] * duplicates)
    return FaceDataset("drawn", images[rows], labels[rows].astype(np.int64), splits, FER2013_LABELS)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> OnnxModel:
    return OnnxModel.load(tiny_model)


def test_darkness_changes_bright_faces_and_brightness_dark_ones(model: OnnxModel) -> None:
    given = measure_robustness(model, make(3), "validation", names=["low_light", "over_exposure", "blur"])
    assert given["clean"]["accuracy"] == given["clean"]["kept"] == 1
    dark, bright = given["corruptions"]["low_light"], given["corruptions"]["over_exposure"]
    assert dark["points"][-1]["accuracy"] == bright["points"][-1]["accuracy"] == 0.5
    assert [p["level"] for p in dark["points"]] == [1, 2, 3, 4, 5]
    # of the nine without a duplicate (rows 3 to 11), five are dark
    assert dark["points"][-1]["accuracy_without_duplicates"] == pytest.approx(5 / 9, abs=1e-6)
    assert dark["kept"] == pytest.approx(np.mean([p["kept"] for p in dark["points"]]), abs=1e-5)
    assert given["kept"] == pytest.approx(np.mean([c["kept"] for c in given["corruptions"].values()]), abs=1e-5)
    assert (given["n"], given["n_without_duplicates"], given["image_size"]) == (12, 9, [48, 48])
    assert json.loads(json.dumps(given, allow_nan=False)) == given


def test_random_numbers_depend_on_the_rows(model: OnnxModel) -> None:
    """A half of the images, with its row numbers in the whole data set, is corrupted as it is there."""
    faces = make()
    seen: list[int] = []
    whole = measure_robustness(model, faces, "validation", names=["noise"], progress=seen.append)
    assert sum(seen) == 6 * N
    assert measure_robustness(model, faces, "validation", names=["noise"]) == whole
    halves = []
    for rows in (np.arange(6), np.arange(6, N)):
        half = replace(faces.subset(rows), metadata={ROW: rows.astype(np.str_)})
        points = measure_robustness(model, half, "validation", names=["noise"])["corruptions"]["noise"]["points"]
        halves.append([point["accuracy"] for point in points])
    assert [p["accuracy"] for p in whole["corruptions"]["noise"]["points"]] == pytest.approx(
        np.mean(halves, axis=0), abs=1e-5
    )


def test_without_a_correct_answer_nothing_is_kept(model: OnnxModel) -> None:
    faces = make(N)
    given = measure_robustness(model, replace(faces, labels=np.ones_like(faces.labels)), "validation", names=["jpeg"])
    assert given["kept"] is given["clean"]["kept"] is given["corruptions"]["jpeg"]["kept"] is None
    assert given["clean"]["accuracy_without_duplicates"] is None
