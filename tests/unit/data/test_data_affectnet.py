from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_sets import assert_refused, write_image

from mien.core.errors import DataError
from mien.data import registry
from mien.data.options import LoadOptions

WORDS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
KEEP = LoadOptions(validation_share=0)
HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
FOLDERS = {"training": ("training.csv", 5), "validation": ("validation.csv", 2)}


def make_tables(root: Path) -> Path:
    """The authors' tables: eight expressions, and one row each of none, uncertain and no face, without their images."""
    for stem, (table, count) in FOLDERS.items():
        rows = [f"9/{stem}_{code}.jpg,0,0,0,0,,{code},-2,-2" for code in (8, 9, 10)]
        for code in range(8):
            for i in range(count):
                name = f"{code}/{stem}_{i}.png"
                write_image(root / "Manually_Annotated_Images" / name, 20 * code + 10, side=40, around=20)
                rows.append(f"{name},20,20,40,40,1.5;2.5;3.5,{code},0.{i},-0.{i}")
        (root / table).write_text("\n".join([HEADER, *rows]) + "\n")
    return root


def make_arrays(root: Path) -> Path:
    """The annotation files, as text inside NumPy arrays as the authors have them."""
    for folder, count in (("train_set", 5), ("val_set", 2)):
        (root / folder / "annotations").mkdir(parents=True)
        for code in range(8):
            for i in range(count):
                name = str(10 * code + i)
                write_image(root / folder / "images" / f"{name}.jpg", 20 * code + 10)
                for suffix, value in (("exp", str(code)), ("val", "0.25"), ("aro", "-0.5"), ("lnd", "1")):
                    np.save(root / folder / "annotations" / f"{name}_{suffix}.npy", np.array(value))
    return root


def make_folders(root: Path, words: tuple[str, ...]) -> Path:
    for split, count in (("train", 5), ("val", 2)):
        for code, word in enumerate(words):
            for i in range(count):
                write_image(root / split / word / f"{i}.png", 20 * code + 10)
    return root


def make_metadata(root: Path) -> Path:
    for split, count in (("train", 5), ("val", 2)):
        rows = []
        for code, word in enumerate(WORDS):
            for i in range(count):
                write_image(root / split / f"{code}_{i}.png", 20 * code + 10)
                rows.append(f"{code}_{i}.png,{word if i else code}")
        (root / split / "metadata.csv").write_text("\n".join(["file_name,label", *rows]) + "\n")
    return root


LAYOUTS = {
    "tables": make_tables,
    "arrays": make_arrays,
    "words": lambda root: make_folders(root, WORDS),
    "numbers": lambda root: make_folders(root, tuple("01234567")),
    "metadata": make_metadata,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("name", "labels"), [("affectnet7", WORDS[:7]), ("affectnet8", WORDS)])
def test_every_layout_gives_the_same_faces(tmp_path: Path, layout: str, name: str, labels: tuple[str, ...]) -> None:
    faces = registry.load(name, LAYOUTS[layout](tmp_path), KEEP)
    assert faces.label_set.names == labels
    assert faces.counts() == {"train": dict.fromkeys(labels, 5), "test": dict.fromkeys(labels, 2)}
    assert np.array_equal(faces.images[:, 24, 24].astype(int) // 20, faces.labels)


@pytest.mark.parametrize(("layout", "valence"), [("tables", {f"0.{i}" for i in range(5)}), ("arrays", {"0.25"})])
def test_valence_and_arousal_are_metadata(tmp_path: Path, layout: str, valence: set[str]) -> None:
    faces = registry.load("affectnet7", LAYOUTS[layout](tmp_path), KEEP)
    assert set(faces.metadata["valence"]) == valence
    assert all(text.startswith("-0.") for text in faces.metadata["arousal"])
    assert registry.detect(tmp_path) == "affectnet7"


def test_the_tables_face_box_is_cut(tmp_path: Path) -> None:
    faces = registry.load("affectnet7", make_tables(tmp_path), KEEP)
    assert (faces.images[faces.labels == 6] > 60).mean() > 0.95


def test_images_left_in_their_files_are_the_same_and_missed_at_once(tmp_path: Path) -> None:
    make_tables(tmp_path)
    lazy = registry.load("affectnet7", tmp_path, LoadOptions(use_lazy_images=True))
    assert not isinstance(lazy.images, np.ndarray)
    assert np.array_equal(np.asarray(lazy.images), registry.load("affectnet7", tmp_path).images)
    (tmp_path / "Manually_Annotated_Images" / "6" / "training_0.png").unlink()
    with pytest.raises(DataError, match=r"training_0\.png: no such file"):  # before training starts
        registry.load("affectnet7", tmp_path, LoadOptions(use_lazy_images=True))


def test_a_table_without_header_is_read(tmp_path: Path) -> None:
    table = make_tables(tmp_path) / "validation.csv"
    table.write_text(table.read_text().removeprefix(HEADER + "\n"))
    assert registry.load("affectnet8", tmp_path, KEEP).counts()["test"] == dict.fromkeys(WORDS, 2)


@pytest.mark.parametrize(
    ("has_test", "expected"),
    [(False, {"train": 32, "validation": 8, "test": 16}), (True, {"train": 40, "validation": 16, "test": 1})],
)
def test_published_validation_is_test_unless_there_is_one(
    tmp_path: Path, has_test: bool, expected: dict[str, int]
) -> None:
    make_folders(tmp_path, WORDS)
    if has_test:
        write_image(tmp_path / "test" / "happy" / "0.png", 30)
    counts = registry.load("affectnet8", tmp_path).counts()
    assert {split: sum(numbers.values()) for split, numbers in counts.items()} == expected


def test_the_smaller_edition_has_one_table(tmp_path: Path) -> None:
    rows = []
    for code, word in enumerate(WORDS):
        write_image(tmp_path / word / f"image{code:07}.jpg", 20 * code + 10)
        rows.append(f"{code},{word}/image{code:07}.jpg,{word},0.87")
    (tmp_path / "labels.csv").write_text("\n".join([",pth,label,relFCs", *rows]))
    assert registry.detect(tmp_path) == "affectnet7"
    assert registry.load("affectnet8", tmp_path, KEEP).counts() == {"train": dict.fromkeys(WORDS, 1)}


def replace(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new, 1))

    return change


ROW = "6/validation_1.png,20,20,40,40,1.5;2.5;3.5,6,0.1,-0.1"
IMAGES = "Manually_Annotated_Images/"
ORIGIN = "http://mohammadmahoor.com/affectnet/"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda r: (r / IMAGES / "6/validation_1.png").unlink(), r"6/validation_1\.png: no such file"),
        (replace("validation.csv", ROW, ROW.replace(",6,", ",11,")), r"validation\.csv, line 18 has label '11'"),
        (lambda r: (r / IMAGES / "6/validation_1.png").write_bytes(b"x"), r"validation_1\.png is not an image"),
        (replace("validation.csv", "6/validation_1.png", "6/validation_0.png"), r"validation_0\.png' is listed twice"),
        (replace("validation.csv", ROW, ROW + ",7"), r"line 18 has 10 columns; expected 9"),
        (replace("validation.csv", ROW, ROW.replace("20,20,40,40", "NULL,20,4,4")), r"line 18 has face box 'NULL,20"),
        (replace("validation.csv", ROW, "../" + ROW), r"line 18 has file '\.\./6/validation_1\.png'; expected a path"),
        (replace("training.csv", "expression", "emotion"), r"training\.csv, line 2: .*expected a column expression"),
        (lambda r: (r / "validation.csv").unlink(), r"validation\.csv cannot be read"),
        (lambda r: (r / "training.csv").write_bytes(b"\xff\xfe\x00"), r"training\.csv is not CSV text"),
    ],
)
def test_broken_tables_are_one_line(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(make_tables(tmp_path))
    assert_refused("affectnet7", tmp_path, expected, ORIGIN)


LABEL = "val_set/annotations/61_exp.npy"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda r: (r / "val_set/images/61.jpg").unlink(), r"61\.jpg: no such file, but .*61_exp\.npy labels it"),
        (lambda r: (r / LABEL).unlink(), r"61_exp\.npy cannot be read"),
        (lambda r: np.save(r / LABEL, np.array("joyful")), r"61_exp\.npy: Unknown label 'joyful'"),
        (lambda r: np.save(r / LABEL, np.array({"a": 1}), allow_pickle=True), r"61_exp\.npy is not a NumPy file"),
        (lambda r: np.save(r / LABEL, np.arange(3)), r"61_exp\.npy holds 3 values"),
        (lambda r: (r / "val_set/images/61.png").touch(), r"Image '61' exists twice"),
        (lambda r: (r / "val_set").rename(r / "other"), r"val_set/annotations cannot be read"),
    ],
)
def test_broken_arrays_are_one_line(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(make_arrays(tmp_path))
    assert_refused("affectnet7", tmp_path, expected, ORIGIN)


@pytest.mark.parametrize(
    ("folder", "expected"),
    [("", "No AffectNet at"), ("train/11", "train/11 has label '11'"), ("train/glad", "Unknown label 'glad'")],
)
def test_other_folders_are_named(tmp_path: Path, folder: str, expected: str) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    assert_refused("affectnet7", tmp_path, expected, ORIGIN)
