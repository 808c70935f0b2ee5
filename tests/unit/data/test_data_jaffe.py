from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_sets import assert_refused, write_image

from mien.data import registry
from mien.data.options import LoadOptions

CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
SUBJECTS = ("KA", "KL", "KM", "KR", "MK")


def make_jaffe(folder: Path) -> Path:
    """One pose of each expression by five people, as TIFF of 256 x 256 grey pixels."""
    for i, subject in enumerate(SUBJECTS):
        for j, code in enumerate(CODES):
            write_image(folder / f"{subject}.{code}1.{7 * i + j + 1}.tiff", 30 * j + i, side=256)
    (folder / "README_FIRST.txt").write_text("ratings")
    return folder


@pytest.mark.parametrize("inner", ["", "jaffe", "jaffedbase"])
def test_label_and_subject_come_from_the_name(tmp_path: Path, inner: str) -> None:
    make_jaffe(tmp_path / inner)
    assert registry.detect(tmp_path) == "jaffe"
    faces = registry.load("jaffe", tmp_path, LoadOptions(validation_share=0))
    assert faces.label_set.names == ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
    assert faces.images.shape == (35, 48, 48)
    assert np.array_equal(faces.images[:, 0, 0] // 30, faces.labels)
    assert np.array_equal(np.array(SUBJECTS)[faces.images[:, 0, 0] % 30], faces.metadata["subject"])
    assert set(faces.metadata["pose"]) == {"1"}
    assert faces.split_names == ("train",)


def test_nobody_is_in_training_and_in_validation(tmp_path: Path) -> None:
    make_jaffe(tmp_path)
    faces = registry.load("jaffe", tmp_path)
    people = {split: set(faces.split(split).metadata["subject"]) for split in ("train", "validation")}
    assert [len(people["train"]), len(people["validation"])] == [4, 1]
    assert not people["train"] & people["validation"]
    assert registry.load("jaffe", tmp_path).fingerprint == faces.fingerprint


def test_one_person_alone_is_all_training(tmp_path: Path) -> None:
    for file in make_jaffe(tmp_path).glob("*.tiff"):
        if not file.name.startswith("KA"):
            file.unlink()
    assert registry.load("jaffe", tmp_path).split_names == ("train",)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda r: [f.unlink() for f in r.glob("*.tiff")], "No JAFFE at"),
        (
            lambda r: (r / "KA.AN1.1.tiff").rename(r / "KA.XX1.1.tiff"),
            "KA.XX1.1.tiff has expression 'XX'; expected one",
        ),
        (lambda r: (r / "KA.AN1.1.tiff").rename(r / "angry.tiff"), "angry.tiff is not named like JAFFE's"),
        (lambda r: (r / "KL.SA1.1.tiff").touch(), "'image 1' is listed twice: .*KA.AN1.1.tiff and .*KL.SA1.1.tiff"),
    ],
)
def test_broken_tree_is_one_line(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(make_jaffe(tmp_path))
    assert_refused("jaffe", tmp_path, expected, "https://zenodo.org/records/3451524")
