from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_sets import assert_refused, write_image

from mien.data import registry
from mien.data.options import LoadOptions

NUMBERS = range(1, 8)
KEEP = LoadOptions(validation_share=0)


def make_original(root: Path) -> Path:
    """Five training and one test image of each label, with the authors' attributes."""
    lines = []
    for label in NUMBERS:
        for i in range(5):
            lines.append(f"train_{10 * label + i:05}.jpg {label}")
        lines.append(f"test_{label:04}.jpg {label}")
    for line in lines:
        stem, label = line.split(".jpg ")
        write_image(root / "Image" / "aligned" / f"{stem}_aligned.jpg", 10 * int(label))
        attributes = root / "Annotation" / "manual" / f"{stem}_manu_attri.txt"
        attributes.parent.mkdir(parents=True, exist_ok=True)
        attributes.write_text("10.5\t20.5\n" * 5 + "1\n2\n4\n")
    (root / "EmoLabel").mkdir()
    (root / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return root


def make_tables(root: Path) -> Path:
    """The same crops in Kaggle's layout: one table per split, and one folder per number."""
    for split, width in (("train", 5), ("test", 4)):
        rows = [f"{split}_{label:0{width}}_aligned.jpg,{label}" for label in NUMBERS]
        (root / f"{split}_labels.csv").write_text("\n".join(["image,label", *rows]) + "\n")
        for row in rows:
            name, label = row.split(",")
            write_image(root / "DATASET" / split / label / name, 10 * int(label))
    return root


@pytest.mark.parametrize("inner", ["", "basic"])
def test_original_layout(tmp_path: Path, inner: str) -> None:
    make_original(tmp_path / inner)
    assert registry.detect(tmp_path) == "rafdb"
    faces = registry.load("rafdb", tmp_path, KEEP)
    assert faces.label_set.names == ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")
    assert faces.counts() == {
        "train": dict.fromkeys(faces.label_set.names, 5),
        "test": dict.fromkeys(faces.label_set.names, 1),
    }
    assert np.array_equal(np.round(faces.images[:, 0, 0] / 10).astype(int), faces.labels + 1)
    assert {column: set(values) for column, values in faces.metadata.items()} == {
        "gender": {"female"},
        "race": {"Asian"},
        "age": {"70+"},
    }
    attributes = tmp_path / inner / "Annotation" / "manual" / "test_0003_manu_attri.txt"
    attributes.unlink()
    assert registry.load("rafdb", tmp_path, KEEP).metadata["age"].tolist().count("") == 1


def test_table_layout(tmp_path: Path) -> None:
    make_tables(tmp_path)
    assert registry.detect(tmp_path) == "rafdb"
    faces = registry.load("rafdb", tmp_path, KEEP)
    assert faces.split_names == ("train", "test")
    assert np.array_equal(np.round(faces.images[:, 0, 0] / 10).astype(int), faces.labels + 1)


def break_list(old: str, new: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        path = root / "EmoLabel" / "list_patition_label.txt"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda r: (r / "Image/aligned/train_00031_aligned.jpg").unlink(), r"train_00031_aligned\.jpg: no such file"),
        (break_list("test_0003.jpg 3", "test_0003.jpg 9"), r"label\.txt, line 18 has label '9'; expected 1 surprise"),
        (break_list("test_0003.jpg 3", "test_0003.jpg happy"), r"line 18 has label 'happy'"),
        (lambda r: (r / "Image/aligned/test_0002_aligned.jpg").write_bytes(b"x"), r"test_0002_aligned\.jpg is not an"),
        (break_list("test_0003.jpg", "test_0002.jpg"), r"'test_0002' is listed twice"),
        (break_list("test_0003.jpg 3", "face.png 3"), r"line 18 has file 'face\.png'; expected a name as train_00001"),
        (lambda r: (r / "Image/aligned").rename(r / "Image/original"), r"but no folder Image/aligned"),
        (lambda r: (r / "EmoLabel/list_patition_label.txt").unlink(), r"No RAF-DB at"),
        (lambda r: (r / "Annotation/manual/test_0001_manu_attri.txt").write_text("1 2 9"), r"ends with '1 2 9'"),
        (lambda r: (r / "Annotation/manual/test_0001_manu_attri.txt").write_text("1 2"), r"ends with '1 2'"),
    ],
)
def test_broken_original_is_one_line(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(make_original(tmp_path))
    assert_refused("rafdb", tmp_path, expected, "http://www.whdeng.cn/raf/model1.html")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("test_0003_aligned.jpg,3", "test_0003_aligned.jpg,0", "test_labels.csv, line 4 has label '0'"),
        ("test_0003_aligned.jpg,3", "test_0009_aligned.jpg,3", "test_0009_aligned.jpg: no such file"),
        ("image,label", "file,class", "line 1 has no column 'image': found file, class; expected image, label"),
        ("test_0003_aligned.jpg,3", "x" * 200_000, r"test_labels\.csv is not CSV text"),
    ],
)
def test_broken_table_is_one_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    table = make_tables(tmp_path) / "test_labels.csv"
    table.write_text(table.read_text().replace(old, new))
    assert_refused("rafdb", tmp_path, expected)
