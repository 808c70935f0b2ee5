from __future__ import annotations

from pathlib import Path

import pytest

from mien.core.errors import ImageError
from mien.inference.sources import expand_source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", "deep/c.webp", ".hidden.png", ".git/d.png", "deep/e.csv"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "photos"


def test_a_folder_is_searched_recursively_and_sorted(folder: Path) -> None:
    assert expand_source(str(folder)) == [folder / "a.PNG", folder / "b.jpg", folder / "deep" / "c.webp"]


def test_a_file_is_returned_as_it_is(folder: Path) -> None:
    assert expand_source(str(folder / "notes.txt")) == [folder / "notes.txt"]
    assert expand_source("nosuch.jpg") == [Path("nosuch.jpg")]


def test_globs(folder: Path) -> None:
    assert expand_source(str(folder / "*")) == [folder / "a.PNG", folder / "b.jpg"]
    assert expand_source(str(folder / "**" / "*.webp")) == [folder / "deep" / "c.webp"]


def test_a_file_whose_name_looks_like_a_glob(folder: Path) -> None:
    path = folder / "face[1].jpg"
    path.touch()
    assert expand_source(str(path)) == [path]


def test_an_empty_source_is_not_the_current_folder() -> None:
    with pytest.raises(ImageError, match="source is empty"):
        expand_source("")


@pytest.mark.parametrize("source", ["deep2", "*.gif", "no[p]e"])
def test_nothing_found_is_one_line(folder: Path, source: str) -> None:
    (folder / "deep2").mkdir()
    with pytest.raises(ImageError, match="no image") as caught:
        expand_source(str(folder / source))
    assert "\n" not in str(caught.value)
