from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from mien.core import plugins
from mien.core.errors import DataError, ModelError
from mien.data import registry, synthetic
from mien.data.options import LoadOptions


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
        (("Anger/a.png", "Joy/a.png"), "folder"),
        (("data/faces.csv",), "fer2013"),
        (("data/fer2013new.csv",), "ferplus"),
    ],
)
def test_detect_by_content(tmp_path: Path, make: tuple[str, ...], expected: str) -> None:
    for name in make:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert registry.detect(tmp_path / make[0] if make[0].startswith("data/") else tmp_path) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), "0 images and 0 folders in it"),
        (("1.jpg", "2.PNG", "notes.txt"), "2 images and 0 folders in it"),
        (("all/1.jpg",), "0 images and 1 folder in it"),
    ],
)
def test_detect_says_briefly_what_it_found_and_what_is_expected(
    tmp_path: Path, files: tuple[str, ...], expected: str
) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=rf"No data set found at .* \({expected}\)\. Expected .*--dataset") as caught:
        registry.detect(tmp_path)
    assert len(str(caught.value).replace(str(tmp_path), "")) < 250
    assert "\n" not in str(caught.value)


def test_detect_of_a_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"notes\.txt \(a file\)"):
        registry.detect(tmp_path / "notes.txt")


def test_missing_path_is_one_clear_line(tmp_path: Path) -> None:
    for load in (registry.detect, lambda path: registry.load("folder", path)):
        with pytest.raises(DataError, match="No file or folder at"):
            load(tmp_path / "absent")
    with pytest.raises(DataError, match="Data set 'folder' needs a path"):
        registry.load("folder", None)
    with pytest.raises(DataError, match="No FER2013 at"):
        registry.load("fer2013", tmp_path)


@pytest.mark.parametrize(("fields", "expected"), [({"image_size": 4}, "size is 4"), ({"channels": 2}, "2 channels")])
def test_options_are_checked(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(ModelError, match=expected):
        LoadOptions(**fields)


def test_plugin_is_an_adapter_by_its_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    add_plugin(monkeypatch, "drawn", synthetic.__name__)
    assert "drawn" in registry.names()
    assert len(registry.load("drawn", None, LoadOptions(faces_per_class=1))) == 14


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("folder", synthetic.__name__, "The data set name 'folder' of plug-in mien.data.synthetic is taken"),
        ("other", "json", "must be a module with load, matches, EXPECTS, NEEDS_PATH"),
    ],
)
def test_bad_plugin_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str) -> None:
    add_plugin(monkeypatch, name, value)
    with pytest.raises(DataError, match=expected):
        registry.load(name, None)


PLUGIN = """
from mien.data import synthetic
EXPECTS, NEEDS_PATH = "a file faces.own", True
def matches(path):
    return path.name == "faces.own"
def load(path, options):
    return synthetic.load(None, options)
"""


@pytest.fixture
def own_data(tmp_path: Path) -> Iterator[Path]:
    """A plug-in file with a data set, forgotten after the test."""
    file = tmp_path / "own_faces.py"
    file.write_text(PLUGIN)
    yield file
    plugins.plugin_files.pop(file.resolve(), None)


def test_plugin_file_is_a_data_set_by_its_name(own_data: Path) -> None:
    assert plugins.load_plugin_file(own_data, lambda: [registry.table()]) == [("data set", "own_faces")]
    faces = own_data.with_name("faces.own")
    (faces / "angry").mkdir(parents=True)
    assert registry.detect(faces) == "own_faces", "a plug-in comes before `folder`"
    assert registry.needs_path("own_faces")
    assert len(registry.load("own_faces", faces, LoadOptions(faces_per_class=1))) == 14
    with pytest.raises(DataError, match=r"Data set .own_faces. needs a path"):
        registry.load("own_faces", None)
