from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.data import registry, votes

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
    assert faces.fingerprint == registry.load("ferplus", folder / votes.FILE_NAME).fingerprint


def test_missing_votes_are_an_error(folder: Path) -> None:
    (folder / votes.FILE_NAME).unlink()
    with pytest.raises(DataError, match=r"No fer2013new\.csv next to"):
        registry.load("ferplus", folder)
