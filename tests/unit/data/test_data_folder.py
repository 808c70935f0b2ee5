from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from data_sets import assert_refused, write_image

from mien.core.errors import DataError
from mien.data import registry
from mien.data.options import LoadOptions

AddImage = Callable[..., None]


@pytest.fixture
def add(tmp_path: Path) -> AddImage:
    return lambda name, grey=0, side=48: write_image(tmp_path / name, grey, side)


def test_split_layout_keeps_its_splits(tmp_path: Path, add: AddImage) -> None:
    add("train/sadness/b.png", 2)
    add("train/sadness/a.png", 1)
    add("validation/Happy/c.png", 3)
    add("test/contempt/d.png", 4)
    faces = registry.load("folder", tmp_path)
    assert faces.label_set.names == ("happy", "sad", "contempt")
    found = zip(faces.images[:, 0, 0].tolist(), faces.labels.tolist(), faces.splits.tolist(), strict=True)
    assert sorted(found) == [(1, 1, "train"), (2, 1, "train"), (3, 0, "validation"), (4, 2, "test")]
    assert [Path(p).name for p in faces.paths] == ["d.png", "a.png", "b.png", "c.png"]


def test_labels_of_ones_own_follow_the_expressions(tmp_path: Path, add: AddImage) -> None:
    for name in ("train/laughing/a.png", "train/Calm/b.png", "test/calm/c.png", "train/joy/d.png"):
        add(name)
    faces = registry.load(registry.detect(tmp_path), tmp_path)
    assert faces.label_set.names == ("happy", "calm", "laughing")
    assert faces.counts()["test"] == {"happy": 0, "calm": 1, "laughing": 0}


def test_a_folder_of_folders_with_images_is_detected(tmp_path: Path, add: AddImage) -> None:
    add("calm/a.png")
    with pytest.raises(DataError, match="No data set found"):
        registry.detect(tmp_path)
    (tmp_path / "calm").rename(tmp_path / "joy")  # a name that is known does not make one label enough
    with pytest.raises(DataError, match="No data set found"):
        registry.detect(tmp_path)
    add("cross/a.png")
    (tmp_path / "notes").mkdir()
    assert registry.detect(tmp_path) == "folder"


def test_label_layout_sets_a_fifth_aside_by_seed(tmp_path: Path, add: AddImage) -> None:
    for i in range(10):
        add(f"angry/{i}.png", i)
        add(f"joy/{i}.png", 100 + i)
    faces = registry.load("folder", tmp_path)
    counts = {"train": {"angry": 8, "happy": 8}, "validation": {"angry": 2, "happy": 2}}
    assert faces.counts() == counts
    assert registry.load("folder", tmp_path).fingerprint == faces.fingerprint
    assert registry.load("folder", tmp_path, LoadOptions(seed=1)).fingerprint != faces.fingerprint


def test_test_folder_stays_test_and_validation_comes_from_train(tmp_path: Path, add: AddImage) -> None:
    for i in range(5):
        add(f"train/fear/{i}.png")
        add(f"test/fear/{i}.png")
    add("test/sad/0.png")
    assert {s: c["fear"] for s, c in registry.load("folder", tmp_path).counts().items()} == {
        "train": 4,
        "validation": 1,
        "test": 5,
    }
    kept = registry.load("folder", tmp_path, LoadOptions(validation_share=0))
    assert kept.split_names == ("train", "test")


def test_hidden_files_and_litter_are_skipped(tmp_path: Path, add: AddImage) -> None:
    add("angry/a.png")
    add("sad/a.png")
    (tmp_path / ".mien-cache").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "angry" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "angry" / "Thumbs.db").write_bytes(b"x")
    assert len(registry.load("folder", tmp_path)) == 2


@pytest.mark.parametrize(
    ("names", "notes"),
    [
        (["happy", "joy", "sad"], ["folders happy and joy are both read as happy"]),
        (["happy", "joy", "happiness", "sad"], ["folders happiness, happy and joy are all read as happy"]),
        (["Calm", "calm", "sad"], ["folders Calm and calm are both read as Calm"]),
        (["train/happy", "validation/joy", "train/sad"], ["folders happy and joy are both read as happy"]),
        (["joy", "Fearful", "Smile"], ["folder Fearful is read as fear", "folder joy is read as happy"]),
        (["train/Joy", "validation/joy", "train/sad"], ["folder Joy is read as happy"]),
        (["Angry", "Smile"], []),
        (["train/Calm", "validation/calm", "train/ SAD"], []),
    ],
)
def test_folders_read_as_another_label_are_named(
    tmp_path: Path, add: AddImage, names: list[str], notes: list[str]
) -> None:
    for name in names:
        add(f"{name}/a.png")
    assert sorted(registry.load("folder", tmp_path).notes) == sorted(notes)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["happy", "joy"],
            r"2 images of one label, happy \(folders happy and joy are both read as happy\); expected two",
        ),
        (["joy"], r"1 image of one label, happy \(folder joy is read as happy\); expected two labels or more"),
        (["train/sad", "test/sad"], "2 images of one label, sad; expected two labels or more"),
    ],
)
def test_one_label_is_an_error(tmp_path: Path, add: AddImage, names: list[str], expected: str) -> None:
    for name in names:
        add(f"{name}/a.png")
    assert_refused("folder", tmp_path, expected)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["angry/a.png", "label/a.png"], "label: Label 'label' is a word that results use for something else"),
        (["angry/a.png", "3/a.png"], "3 is named by a number, which means another expression"),
        (["angry/a.png", "happy/sub/a.png"], "sub: no such file; expected an image"),
        (["train/angry/a.png", "sad/a.png"], "is next to split folders"),
        (["train/angry/a.png", "train/b.png"], r"b\.png is next to label folders"),
        ([], "No images at"),
    ],
)
def test_layout_that_does_not_fit_is_named(tmp_path: Path, add: AddImage, names: list[str], expected: str) -> None:
    for name in names:
        add(name)
    assert_refused("folder", tmp_path, expected)
