from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.data.check import check
from mien.data.dataset import FaceDataset
from mien.data.duplicates import DuplicateCount, count_duplicates, duplicate_mask
from mien.data.splits import stratified_mask

LABELS = LabelSet.of(["happy", "sad"])


def make(greys: list[int], labels: list[int], splits: list[str], **fields: Any) -> FaceDataset:
    images = np.array(greys, dtype=np.uint8)[:, None, None] + np.eye(4, dtype=np.uint8)
    return FaceDataset("made", images, np.array(labels), np.array(splits), LABELS, **fields)


@pytest.fixture
def faces() -> FaceDataset:
    return make(
        [1, 1, 2, 1, 2, 3, 3],
        [0, 0, 1, 0, 0, 1, 1],
        ["train", "train", "train", "validation", "validation", "validation", "test"],
        votes=np.full((7, 2), 0.5, dtype=np.float32),
        is_face=np.array([True] * 6 + [False]),
        paths=tuple("abcdefg"),
    )


def test_subset_takes_every_column(faces: FaceDataset) -> None:
    chosen = faces.subset(np.array([6, 2]))
    assert chosen.images[:, 0, 1].tolist() == [3, 2]
    assert chosen.labels.tolist() == [1, 1]
    assert chosen.splits.tolist() == ["test", "train"]
    assert chosen.paths == ("g", "c")
    assert chosen.is_face is not None
    assert chosen.is_face.tolist() == [False, True]
    assert chosen.votes is not None
    assert chosen.votes.shape == (2, 2)
    assert faces.subset(faces.labels == 1).paths == ("c", "f", "g")


def test_split_names_the_splits_there_are(faces: FaceDataset) -> None:
    assert faces.split("validation").paths == ("d", "e", "f")
    with pytest.raises(DataError, match=r"has no split 'test'\. Splits with images: train, validation\."):
        faces.subset(np.arange(6)).split("test")


def test_counts_include_labels_without_images(faces: FaceDataset) -> None:
    assert faces.counts() == {
        "train": {"happy": 2, "sad": 1},
        "validation": {"happy": 2, "sad": 1},
        "test": {"happy": 0, "sad": 1},
    }


def test_fingerprint_sees_pixels_labels_splits_and_order(faces: FaceDataset) -> None:
    changed_image = faces.images.copy()
    changed_image[6, 3, 3] += 1
    others = [
        dataclasses.replace(faces, images=changed_image),
        dataclasses.replace(faces, labels=1 - faces.labels),
        dataclasses.replace(faces, splits=np.array(["train"] * 7)),
        dataclasses.replace(faces, images=faces.images.reshape(7, 2, 8)),
        dataclasses.replace(faces, label_set=LabelSet.of(["sad", "happy"])),
        faces.subset(np.arange(7)[::-1]),
    ]
    prints = {other.fingerprint for other in others}
    assert len(prints | {faces.fingerprint}) == 7
    assert len(faces.fingerprint) == 64
    assert faces.subset(np.arange(7)).fingerprint == faces.fingerprint


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"labels": np.array([0, 1])}, "7 images but 2 labels"),
        ({"labels": np.array([0, 1, 2, 0, 0, 0, 0])}, "labels outside 0 to 1"),
        ({"splits": np.array(["dev"] * 7)}, "has split 'dev'"),
        ({"paths": ("a",)}, "7 images but 1 paths"),
        ({"votes": np.ones((3, 2), dtype=np.float32)}, "7 images but 3 votes"),
    ],
)
def test_columns_that_do_not_fit(faces: FaceDataset, fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        dataclasses.replace(faces, **fields)


def test_duplicate_mask_marks_only_images_outside_the_split(faces: FaceDataset) -> None:
    assert duplicate_mask(faces).tolist() == [False, False, False, True, True, False, False]
    assert np.flatnonzero(duplicate_mask(faces, of_split="test")).tolist() == [5]


def test_duplicates_are_counted_by_pair_of_splits(faces: FaceDataset) -> None:
    assert count_duplicates(faces) == [
        DuplicateCount("train", "train", duplicates=2, conflicting=0),
        DuplicateCount("validation", "train", duplicates=2, conflicting=1),
        DuplicateCount("validation", "validation", duplicates=0, conflicting=0),
        DuplicateCount("test", "train", duplicates=0, conflicting=0),
        DuplicateCount("test", "validation", duplicates=1, conflicting=0),
        DuplicateCount("test", "test", duplicates=0, conflicting=0),
    ]


def test_duplicates_within_a_split_can_conflict() -> None:
    faces = make([5, 5, 5, 6], [0, 1, 0, 0], ["train"] * 4)
    assert count_duplicates(faces) == [DuplicateCount("train", "train", duplicates=3, conflicting=3)]


def test_check_reports_all(faces: FaceDataset) -> None:
    images = faces.images.copy()
    images[0] = 9
    report = check(dataclasses.replace(faces, images=images))
    assert (report.n, report.constant, report.not_face, report.has_votes) == (7, 1, 1, True)
    assert report.duplicates[1] == DuplicateCount("validation", "train", duplicates=2, conflicting=1)
    plain = check(make([1], [0], ["validation"]))
    assert (plain.not_face, plain.has_votes) == (None, False)


def test_stratified_mask_takes_the_share_of_every_label() -> None:
    labels = np.repeat([0, 1, 2, 3], [50, 10, 2, 1])
    chosen = stratified_mask(labels, 0.2, seed=3)
    assert np.bincount(labels[chosen], minlength=4).tolist() == [10, 2, 1, 0]
    np.testing.assert_array_equal(chosen, stratified_mask(labels, 0.2, seed=3))
    assert (chosen != stratified_mask(labels, 0.2, seed=4)).any()
    assert not stratified_mask(labels, 0, seed=3).any()
