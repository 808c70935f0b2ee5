"""Protocols divide as they say: disjoint, complete, stratified, each person in one part, the same for the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS
from mien.data.dataset import FaceDataset
from mien.data.protocols import Protocol, divide, original_rows
from mien.data.siblings import count_siblings, describe_siblings

SUBJECTS = 23


def make_dataset(counts=(60, 20, 45, 90, 30, 15, 40), metadata=True):
    """Distinct images; everybody shows every expression, some more often."""
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.int64)
    n = len(labels)
    images = rng.integers(0, 256, (n, 8, 8), dtype=np.uint8)
    subject = np.array([f"S{i:02d}" for i in rng.integers(0, SUBJECTS, n)])
    splits = np.where(np.arange(n) < 200, "train", np.where(np.arange(n) < 250, "validation", "test"))
    return FaceDataset(
        "made", images, labels, splits, FER2013_LABELS, metadata={"subject": subject} if metadata else {}
    )


FACES = make_dataset()
DRAWN = [
    Protocol("ratio", shares=(7, 2, 1)),
    Protocol("ratio", counts=(225, 75)),
    Protocol("ratio", counts=(225, 75), held_out="validation"),
    Protocol("random", shares=(8, 2), held_out="validation"),
    Protocol("random", shares=(8, 2)),
    Protocol("k-fold", folds=5, fold=2),
    Protocol("k-fold", folds=5, fold=4, held_out="validation"),
    Protocol("subject-k-fold", folds=5, fold=4),
    Protocol("subject-k-fold", folds=5, held_out="validation"),
]


@pytest.mark.parametrize("protocol", DRAWN)
def test_every_image_is_in_one_split_by_seed(protocol):
    divided = divide(FACES, protocol)
    np.testing.assert_array_equal(divided.images, FACES.images)
    np.testing.assert_array_equal(divided.labels, FACES.labels)
    expected = {"train", "validation"} | (set() if protocol.scores_its_validation else {"test"})
    assert set(divided.split_names) == expected
    np.testing.assert_array_equal(divide(FACES, protocol).splits, divided.splits)
    other = divide(FACES, dataclasses.replace(protocol, seed=1))
    assert (other.splits != divided.splits).any()
    assert len({FACES.fingerprint, divided.fingerprint, other.fingerprint}) == 3


def test_the_official_protocol_changes_nothing():
    assert divide(FACES, Protocol(seed=5)) is FACES


def share_of(dataset, split, label):
    of_label = dataset.labels == label
    return (dataset.splits[of_label] == split).mean()


@pytest.mark.parametrize(
    ("protocol", "shares"),
    [
        (Protocol("ratio", shares=(7, 2, 1)), {"train": 0.7, "validation": 0.2, "test": 0.1}),
        (Protocol("ratio", counts=(225, 75), held_out="validation"), {"train": 0.75, "validation": 0.25}),
        (Protocol("ratio", shares=(3, 1)), {"test": 0.25}),
        (Protocol("k-fold", folds=5, fold=1), {"train": 0.6, "validation": 0.2, "test": 0.2}),
    ],
)
def test_labels_are_stratified(protocol, shares):
    divided = divide(FACES, protocol)
    for split, share in shares.items():
        assert (divided.splits == split).mean() == pytest.approx(share, abs=1 / len(FACES))
        for label in range(7):
            images = (FACES.labels == label).sum()
            assert abs(share_of(divided, split, label) - share) * images <= 1.5


def test_random_is_of_the_right_size_and_not_stratified():
    sides = [divide(FACES, Protocol("random", shares=(8, 2), held_out="validation", seed=s)).splits for s in range(20)]
    assert {int((side == "validation").sum()) for side in sides} == {60}
    disgust = [int((side[FACES.labels == 1] == "validation").sum()) for side in sides]
    assert len(set(disgust)) > 3


@pytest.mark.parametrize("name", ["k-fold", "subject-k-fold"])
def test_each_image_is_held_out_once_and_selects_once(name):
    divided = [divide(FACES, Protocol(name, folds=5, fold=fold)).splits for fold in range(5)]
    for split in ("test", "validation"):
        np.testing.assert_array_equal(sum((side == split).astype(int) for side in divided), 1)
    sizes = [int((side == "test").sum()) for side in divided]
    assert max(sizes) - min(sizes) <= (1 if name == "k-fold" else 30)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("folds", [3, 10, SUBJECTS])
def test_no_person_is_in_two_splits(folds, seed):
    subjects = FACES.metadata["subject"]
    for fold in range(folds):
        splits = divide(FACES, Protocol("subject-k-fold", folds=folds, fold=fold, seed=seed)).splits
        sides = [set(subjects[splits == name]) for name in ("train", "validation", "test")]
        assert all(sides)
        assert sum(len(side) for side in sides) == len(set(subjects))


GROUPED = [
    Protocol("ratio", shares=(7, 2, 1), keep_together="subject"),
    Protocol("ratio", counts=(225, 75), held_out="validation", keep_together="subject"),
    Protocol("random", shares=(8, 2), keep_together="subject"),
    Protocol("k-fold", folds=5, fold=2, keep_together="subject"),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("protocol", GROUPED)
def test_images_that_stay_together_are_in_one_split(protocol, seed):
    divided = divide(FACES, dataclasses.replace(protocol, seed=seed))
    subjects = divided.metadata["subject"]
    for subject in np.unique(subjects):
        assert len(set(divided.splits[subjects == subject])) == 1
    scored = "validation" if protocol.scores_its_validation else "test"
    wanted = 300 * {"ratio": 0.1, "random": 0.2, "k-fold": 0.2}[protocol.name] if not protocol.counts else 75
    assert abs((divided.splits == scored).sum() - wanted) < 30
    assert protocol.describe()["keep_together"] == "subject"


def test_parts_with_groups_have_their_sizes_nearly_also_if_images_are_left_out():
    divided = divide(FACES, Protocol("random", counts=(150, 60), held_out="validation", keep_together="subject"))
    assert abs(len(divided) - 210) < 30
    assert abs((divided.splits == "validation").sum() - 60) < 25


def test_siblings_on_both_sides_are_counted():
    people = np.repeat(FACES.metadata["subject"][:100], 3)
    sequence = np.array([f"{person}_{i // 3}" for i, person in enumerate(people)])
    faces = dataclasses.replace(FACES, metadata={**FACES.metadata, "sequence": sequence})
    leaky = divide(faces, Protocol("random", shares=(8, 2)))
    counts = count_siblings(leaky, "train", "test")
    inside = set(leaky.metadata["sequence"][leaky.splits == "train"])
    expected = sum(name in inside for name in leaky.metadata["sequence"][leaky.splits == "test"])
    assert counts["sequence"] == expected > 0
    assert f"{expected} have a frame of the same sequence in training" in describe_siblings(counts, "test")
    apart = divide(faces, Protocol("random", shares=(8, 2), keep_together="sequence"))
    assert count_siblings(apart, "train", "test")["sequence"] == 0
    strict = divide(FACES, Protocol("subject-k-fold", folds=5))
    assert describe_siblings(count_siblings(strict, "train", "test"), "test") == ""
    assert count_siblings(make_dataset(metadata=False), "train", "test") == {}


def test_counts_below_the_number_of_images_leave_the_rest_out():
    divided = divide(FACES, Protocol("ratio", counts=(120, 60), held_out="validation"))
    assert {name: (divided.splits == name).sum() for name in divided.split_names} == {"train": 120, "validation": 60}
    rows = original_rows(divided)
    assert len(set(rows.tolist())) == 180
    np.testing.assert_array_equal(divided.images, FACES.images[rows])
    np.testing.assert_array_equal(original_rows(FACES), np.arange(300))


def test_official_splits_are_joined():
    divided = divide(FACES, Protocol(validation_from=("validation", "test")))
    np.testing.assert_array_equal(divided.splits == "train", FACES.splits == "train")
    assert divided.split_names == ("train", "validation")


@pytest.mark.parametrize("protocol", [Protocol(), Protocol("k-fold", folds=3), Protocol("ratio", shares=(2, 1))])
def test_clean_takes_duplicates_of_other_splits_out_of_training(protocol):
    images = FACES.images.copy()
    images[200:210] = images[0:10]
    faces = dataclasses.replace(FACES, images=images)
    plain, clean = (divide(faces, dataclasses.replace(protocol, use_clean=use)) for use in (False, True))
    outside = images[np.isin(plain.splits, ("validation", "test"))]
    duplicates = sum((image == outside).all(axis=(1, 2)).any() for image in plain.images[plain.splits == "train"])
    assert duplicates > 0
    assert len(clean) == len(faces) - duplicates
    inside = clean.images[clean.splits == "train"]
    assert not any((image == inside).all(axis=(1, 2)).any() for image in outside)
    np.testing.assert_array_equal(clean.splits, plain.splits[original_rows(clean)])


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"name": "k-fold", "folds": 5, "fold": 5}, "Fold 5 is out of range; 5 folds are 0 to 4"),
        ({"name": "k-fold", "folds": 2}, "2 folds are too few"),
        ({"name": "k-fold", "folds": 301}, "301 folds need .* has 300"),
        ({"name": "subject-k-fold", "folds": 24}, "24 folds need .* has 23"),
        ({"name": "ratio", "counts": (250, 55)}, r"250 \+ 55 = 305 images; the data set has 300"),
        ({"name": "ratio"}, "needs either shares"),
        ({"name": "ratio", "shares": (1,)}, "are not shares"),
        ({"name": "random", "shares": (1, -1)}, "are not shares"),
        ({"name": "random", "shares": (1, 1e-9)}, "leave a part empty"),
        ({"name": "official", "shares": (8, 2)}, "has no shares"),
        ({"name": "k-fold", "validation_from": ("test",)}, "joins official splits"),
        ({"validation_from": ("train",)}, "names 'train'"),
        ({"keep_together": "subject"}, "keep_together is for ratio, random and k-fold; the protocol is 'official'"),
        ({"name": "k-fold", "keep_together": "sequence"}, "no column 'sequence'"),
        ({"name": "k-fold", "keep_together": "subject", "folds": 24}, "24 folds need as many subjects; .* has 23"),
        ({"name": "k-fold", "held_out": "validation", "use_clean": True}, "selects and scores on different images"),
        ({"name": "ratio", "counts": (290, 2)}, "Label 'disgust' has 20 images, none of which is in"),
    ],
)
def test_wrong_requests_are_one_clear_line(wanted, message):
    with pytest.raises(DataError, match=message) as raised:
        divide(FACES, Protocol(**wanted))
    assert "\n" not in str(raised.value)


def test_subjects_must_be_known():
    with pytest.raises(DataError, match="no column 'subject'"):
        divide(make_dataset(metadata=False), Protocol("subject-k-fold"))
    subject = FACES.metadata["subject"].copy()
    subject[:4] = ""
    with pytest.raises(DataError, match="the subject of 4 of its 300 images"):
        divide(dataclasses.replace(FACES, metadata={"subject": subject}), Protocol("subject-k-fold"))


def test_splits_that_are_not_there_cannot_be_joined():
    with pytest.raises(DataError, match=r"has no test images\. Splits with images: train, validation"):
        divide(FACES.subset(FACES.splits != "test"), Protocol(validation_from=("validation", "test")))


def test_a_label_without_training_images_is_refused():
    only = np.where(FACES.labels == 1, "only", FACES.metadata["subject"])
    faces = dataclasses.replace(FACES, metadata={"subject": only})
    with pytest.raises(DataError, match="Label 'disgust' has 20 images, none of which is in train"):
        _ = [divide(faces, Protocol("subject-k-fold", folds=5, fold=fold)) for fold in range(5)]


def test_the_description_says_what_matters():
    assert Protocol().describe() == {"name": "official", "use_clean": False}
    described = Protocol("k-fold", folds=5, fold=2, seed=3).describe()
    assert described == {"name": "k-fold", "folds": 5, "fold": 2, "seed": 3, "held_out": "test", "use_clean": False}
    assert Protocol("random", shares=(8, 2)).describe()["shares"] == [8, 2]
