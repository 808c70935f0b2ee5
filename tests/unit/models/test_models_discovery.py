from __future__ import annotations

import importlib

import pytest

from mien.core.errors import ModelError
from mien.core.plugins import classes_by_file


@pytest.fixture
def room(tmp_path, monkeypatch, request):
    """Return a function that makes a package of the given files."""

    def make(**files: str):
        name = f"room_{abs(hash(request.node.name))}"
        folder = tmp_path / name
        folder.mkdir()
        for file, text in {"__init__": "", "registry": "1 / 0", **files}.items():
            (folder / f"{file}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        return importlib.import_module(name)

    return make


def test_a_file_is_its_one_class_and_imported_classes_do_not_count(room):
    found = classes_by_file(
        room(b="class Second(ValueError): ...", a="from builtins import KeyError\nclass First(ValueError): ..."),
        ValueError,
    )
    assert list(found) == ["a", "b"]
    assert found["a"].__name__ == "First"


@pytest.mark.parametrize("text", ["", "class A(ValueError): ...\nclass B(ValueError): ..."])
def test_a_file_with_no_class_or_two_is_named(room, text):
    with pytest.raises(ModelError, match=r"\.odd defines [02] ValueError classes; it must define one"):
        classes_by_file(room(odd=text), ValueError)
