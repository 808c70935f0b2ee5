from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from mien.core.errors import DataError
from mien.data import registry, synthetic
from mien.data.registry import LoadOptions


def add_plugin(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    point = EntryPoint(name, value, registry.ENTRY_POINTS)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point])


def test_file_names_are_the_names() -> None:
    papers = ["affectnet7", "affectnet8", "ckplus", "fer2013", "ferplus"]
    assert registry.names() == [*papers, "folder", "jaffe", "rafdb", "synthetic"]


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(DataError, match=r"No data set named 'fer213'\. Did you mean 'fer2013'\?"):
        registry.load("fer213", None)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (("fer2013.csv",), "fer2013"),
        (("icml_face_data.csv",), "fer2013"),
        (("fer2013.csv", "fer2013new.csv"), "fer2013"),
        (("train/angry/a.png",), "folder"),
        (("Anger/a.png",), "folder"),
    ],
)
def test_detect_by_content(tmp_path: Path, make: tuple[str, ...], expected: str) -> None:
    for name in make:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert registry.detect(tmp_path) == expected


def test_detect_files(tmp_path: Path) -> None:
    for name in ("faces.csv", "fer2013new.csv"):
        (tmp_path / name).touch()
    assert registry.detect(tmp_path / "faces.csv") == "fer2013"
    assert registry.detect(tmp_path / "fer2013new.csv") == "ferplus"


def test_detect_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"No data set found at .* fer2013: .*; ferplus: .*; folder: ") as caught:
        registry.detect(tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_path_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No file or folder at"):
        registry.detect(tmp_path / "absent")
    with pytest.raises(DataError, match="No file or folder at"):
        registry.load("folder", tmp_path / "absent")
    with pytest.raises(DataError, match="Data set 'folder' needs a path"):
        registry.load("folder", None)
    with pytest.raises(DataError, match="No FER2013 at"):
        registry.load("fer2013", tmp_path)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"image_size": 4}, "Image size 4"),
        ({"channels": 2}, "2 channels"),
        ({"seed": -1}, "Seed -1"),
        ({"validation_share": 1.0}, "Validation share 1.0"),
        ({"faces_per_class": 0}, "0 faces per class"),
        ({"ferplus_mode": "most"}, "FER\\+ mode 'most' is not one of majority, probability"),
    ],
)
def test_options_are_checked(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        LoadOptions(**fields)


def test_plugin_is_an_adapter_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    add_plugin(monkeypatch, "drawn", synthetic.__name__)
    assert "drawn" in registry.names()
    assert len(registry.load("drawn", None, LoadOptions(faces_per_class=1))) == 14


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("folder", synthetic.__name__, "The data set name 'folder' of plug-in mien.data.synthetic is taken"),
        ("other", "no_such_module_anywhere", "cannot be loaded .ModuleNotFoundError"),
        ("other", "json", "must be a module with load, matches, EXPECTS and NEEDS_PATH"),
    ],
)
def test_bad_plugin_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str) -> None:
    add_plugin(monkeypatch, name, value)
    with pytest.raises(DataError, match=expected):
        registry.names()


def test_no_training_library_is_imported() -> None:
    code = (
        "import sys; from mien.data import registry; registry.load('synthetic', None,"
        " registry.LoadOptions(faces_per_class=1));"
        " heavy = {'torch', 'kornia', 'sklearn', 'pydantic', 'matplotlib'};"
        " print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
