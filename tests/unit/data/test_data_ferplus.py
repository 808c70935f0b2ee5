from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.data import registry, votes
from mien.data.protocols import Protocol, divide

# neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, NF


def majority(*counts: int) -> list[float]:
    return votes.majority_distribution(np.array([counts]))[0].tolist()


@pytest.mark.parametrize(
    ("counts", "kept"),
    [
        ((6, 1, 2, 0, 1, 0, 0, 0, 0, 0), [0.75, 0, 0.25, 0, 0, 0, 0, 0]),  # single votes are removed
        ((5, 2, 1, 1, 1, 0, 0, 0, 0, 0), [5 / 7, 2 / 7, 0, 0, 0, 0, 0, 0]),  # half, but a majority of what remains
    ],
)
def test_majority_keeps(counts: tuple[int, ...], kept: list[float]) -> None:
    np.testing.assert_allclose(majority(*counts), kept)


@pytest.mark.parametrize(
    "counts",
    [
        (5, 5, 0, 0, 0, 0, 0, 0, 0, 0),  # half is not a majority
        (4, 3, 3, 0, 0, 0, 0, 0, 0, 0),
        (3, 0, 0, 0, 0, 0, 0, 0, 7, 0),  # unknown
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 10),  # not a face
        (5, 0, 0, 0, 0, 0, 0, 0, 3, 2),  # unknown and NF count as votes
        (1, 1, 1, 1, 1, 1, 1, 1, 1, 1),  # only single votes
    ],
)
def test_majority_drops(counts: tuple[int, ...]) -> None:
    assert majority(*counts) == [0] * 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [f"0,{' '.join([str(i)] * 2304)},{u}" for i, u in enumerate(["Training", "Training", "PublicTest"])]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    taggers = [
        "Training,a,4,4,2,0,0,0,0,0,0,0",
        "Training,b,0,0,2,0,0,0,0,8,0,0",
        "PublicTest,c,0,8,0,2,0,0,0,0,0,0",
    ]
    (tmp_path / votes.FILE_NAME).write_text("\n".join([",".join(votes.COLUMNS), *taggers]))
    return tmp_path


def test_labels_are_the_majority_of_the_kept_images(folder: Path) -> None:
    faces = registry.load("ferplus", folder)
    assert faces.images[:, 0, 0].tolist() == [1, 2]
    assert [faces.label_set.names[label] for label in faces.labels] == ["contempt", "happy"]
    assert faces.splits.tolist() == ["train", "validation"]
    assert faces.votes is not None
    np.testing.assert_allclose(faces.votes.sum(axis=1), 1)
    assert faces.unclear is not None
    assert faces.unclear.images[:, 0, 0].tolist() == [0]
    assert faces.fingerprint == registry.load("ferplus", folder / votes.FILE_NAME).fingerprint


def test_images_without_a_majority_are_kept_apart_by_plain_argmax(tmp_path: Path) -> None:
    taggers = {
        "4,4,2,0,0,0,0,0,0,0": "neutral",  # a tie: the first
        "0,0,0,0,0,0,0,2,8,0": "contempt",  # unknown has the majority
        "0,0,0,1,0,0,0,0,0,9": "sad",  # one vote only, nine for "not a face"
        "0,0,0,0,0,0,0,0,0,10": None,  # no vote for an expression
        "0,8,0,2,0,0,0,0,0,0": None,  # a majority
    }
    rows = [f"0,{' '.join([str(i)] * 2304)},PublicTest" for i in range(len(taggers))]
    (tmp_path / "fer2013.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    lines = [f"PublicTest,x,{counts}" for counts in taggers]
    (tmp_path / votes.FILE_NAME).write_text("\n".join([",".join(votes.COLUMNS), *lines]))
    faces = registry.load("ferplus", tmp_path)
    unclear = faces.unclear
    assert unclear is not None
    assert faces.images[:, 0, 0].tolist() == [4]
    assert unclear.images[:, 0, 0].tolist() == [0, 1, 2]
    assert [unclear.label_set.names[label] for label in unclear.labels] == ["neutral", "contempt", "sad"]
    assert unclear.votes is not None
    np.testing.assert_allclose(unclear.votes.sum(axis=1), 1)
    divided = divide(dataclasses.replace(faces, splits=np.array(["train"])), Protocol(use_clean=True))
    assert divided.unclear is None


def test_missing_votes_are_an_error(folder: Path) -> None:
    (folder / votes.FILE_NAME).unlink()
    with pytest.raises(DataError, match=r"No fer2013new\.csv next to"):
        registry.load("ferplus", folder)
