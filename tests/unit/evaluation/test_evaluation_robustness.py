"""Accuracy kept under corruptions, with a network of known answers: happy when bright, sad when dark."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS
from mien.data.dataset import FaceDataset
from mien.evaluation import robustness
from mien.evaluation.robustness import measure_robustness
from mien.inference.model import ExpressionModel


def make(n: int = 12) -> FaceDataset:
    """Bright faces called happy and dark ones called sad, half and half, with some texture."""
    generator = np.random.default_rng(0)
    levels = np.where(np.arange(n) % 2, 60, 190)[:, None, None]
    images = np.clip(levels + generator.normal(0, 30, (n, 48, 48)), 0, 255).astype(np.uint8)
    labels = np.where(np.arange(n) % 2, FER2013_LABELS.index("sad"), FER2013_LABELS.index("happy"))
    return FaceDataset("drawn", images, labels.astype(np.int64), np.array(["validation"] * n), FER2013_LABELS)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> ExpressionModel:
    return ExpressionModel.load(tiny_model)


def test_darkness_takes_the_bright_and_brightness_the_dark(model: ExpressionModel) -> None:
    faces = make()
    twins = np.arange(12) < 3
    given = measure_robustness(model, faces, twins, names=["low_light", "over_exposure", "blur"])
    assert given.clean.accuracy == given.clean.kept == 1
    dark, bright = given.corruptions["low_light"], given.corruptions["over_exposure"]
    assert dark.points[-1].accuracy == bright.points[-1].accuracy == 0.5
    assert [p.level for p in dark.points] == [1, 2, 3, 4, 5]
    # of the nine without a twin (rows 3 to 11), five are dark
    assert dark.points[-1].accuracy_without_duplicates == pytest.approx(5 / 9, abs=1e-6)
    assert dark.kept == pytest.approx(np.mean([p.kept for p in dark.points]), abs=1e-5)
    assert given.kept == pytest.approx(np.mean([c.kept for c in given.corruptions.values()]), abs=1e-5)
    assert (given.n, given.n_without_duplicates, given.image_size) == (12, 9, (48, 48))
    assert json.loads(json.dumps(given.to_json(), allow_nan=False))["corruptions"]["blur"]["points"][0]["severity"] == 1


def test_chance_hangs_on_the_rows(model: ExpressionModel) -> None:
    """Half of the images, named by their rows in the whole, are spoilt as they are in the whole."""
    faces, no_twin = make(), np.zeros(12, dtype=np.bool_)
    seen: list[int] = []
    whole = measure_robustness(model, faces, no_twin, names=["noise"], progress=seen.append)
    assert sum(seen) == 6 * 12
    rows = np.arange(6, 12)
    half = measure_robustness(model, faces.subset(rows), no_twin[rows], rows=rows, names=["noise"])
    first = measure_robustness(model, faces.subset(rows - 6), no_twin[rows], rows=rows - 6, names=["noise"])
    for i in range(5):
        parts = (half.corruptions["noise"].points[i].accuracy, first.corruptions["noise"].points[i].accuracy)
        assert whole.corruptions["noise"].points[i].accuracy == pytest.approx(np.mean(parts), abs=1e-5)
    assert measure_robustness(model, faces, no_twin, names=["noise"]) == whole


def test_pictures_are_spoilt_some_at_a_time(model: ExpressionModel, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, no_twin = make(), np.zeros(12, dtype=np.bool_)
    at_once = measure_robustness(model, faces, no_twin, names=["noise", "mask"])
    monkeypatch.setattr(robustness, "CHUNK", 5)
    assert measure_robustness(model, faces, no_twin, names=["noise", "mask"]) == at_once


def test_a_model_that_is_always_wrong_keeps_nothing_to_divide_by(model: ExpressionModel) -> None:
    faces = make()
    wrong = FaceDataset("drawn", faces.images, np.full(12, 1), faces.splits, FER2013_LABELS)
    given = measure_robustness(model, wrong, np.ones(12, dtype=np.bool_), names=["jpeg"])
    assert given.kept is given.clean.kept is given.corruptions["jpeg"].kept is None
    assert given.clean.accuracy_without_duplicates is None


@pytest.mark.parametrize("names", [[], ["blur", "blur"], ["fog"]])
def test_bad_names_are_refused(model: ExpressionModel, names: list[str]) -> None:
    with pytest.raises(DataError, match="orruption"):
        measure_robustness(model, make(), np.zeros(12, dtype=np.bool_), names=names)


def test_a_negative_seed_is_refused(model: ExpressionModel) -> None:
    with pytest.raises(DataError, match="Seed -1"):
        measure_robustness(model, make(), np.zeros(12, dtype=np.bool_), seed=-1)
