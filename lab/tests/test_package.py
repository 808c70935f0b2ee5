"""What is published: absolute links, project addresses, and no file too many."""

import pytest

from hatch_build import RepositoryHook, make_absolute
from lab import ROOT
from lab.package import MOST_WEIGHTS, check_files, check_page

ADDRESS = "https://forge.example/people/mien"


def test_links_and_images_become_absolute():
    text = "![x](docs/a.png) [b](docs/b.md#part) [c](https://c.example) [d](#d) [![e](e.svg)](e.md)"
    assert make_absolute(text, ADDRESS, "v1.2") == (
        f"![x]({ADDRESS}/raw/v1.2/docs/a.png) [b]({ADDRESS}/blob/v1.2/docs/b.md#part) [c](https://c.example) [d](#d) "
        f"[![e]({ADDRESS}/raw/v1.2/e.svg)](e.md)"
    )


@pytest.mark.parametrize("address", ["", ADDRESS + "/"])
def test_addresses_only_where_the_repository_is_known(monkeypatch, address):
    monkeypatch.setenv("MIEN_REPOSITORY", address)
    metadata = {"version": "1.2"}
    RepositoryHook(str(ROOT), {}).update(metadata)
    assert ("urls" in metadata) == bool(address)
    assert ("](docs/" in metadata["readme"]["text"]) != bool(address)
    if address:
        assert metadata["urls"]["Source"] == ADDRESS


def test_files_that_do_not_belong_are_named():
    assert list(check_files(["mien/a.py", "mien/b.onnx"], [10, MOST_WEIGHTS])) == []
    problems = list(check_files(["mien-1/tests/a.py", "mien/b.onnx"], [10, MOST_WEIGHTS + 1]))
    assert problems == [
        "mien-1/tests/a.py does not belong in it",
        "models and weights take 8,000,001 bytes; at most 8,000,000",
    ]


def test_a_page_with_relative_links_is_refused():
    page = "Metadata-Version: 2.4\nName: mien\n\n[a](docs/a.md)"
    assert list(check_page(page, "")) == []
    assert list(check_page(page, ADDRESS)) == ["no project addresses", "the description has relative links"]
