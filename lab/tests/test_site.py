"""The site: what is staged, and which links are found dead. `make docs` builds the whole site."""

import pytest

from lab.site import COMMANDS, describe_commands, find_dead_links, stage


def write(folder, **pages):
    for name, text in pages.items():
        path = folder / f"{name.replace('__', '/')}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_documents_and_what_they_link_to_are_staged(tmp_path):
    root, target = tmp_path / "root", tmp_path / "out"
    write(root, **{"README.md": "[a](docs/a.md#part) [site](https://example.org/)", "other.txt": "", "r.json": "{}"})
    write(root, **{"docs__a.md": "# A\n## Part\n[record](../r.json)", "docs__reference__x.md": ""})
    stage(root, target)
    files = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert files == {"README.md", "docs/a.md", "docs/reference/x.md", "r.json", str(COMMANDS)}


@pytest.mark.parametrize("link", ["missing.json", "docs"])
def test_a_link_to_nothing_or_a_folder_is_an_error(tmp_path, link):
    root = tmp_path / "root"
    write(root, **{"README.md": f"[a]({link})", "docs__reference__x.md": ""})
    with pytest.raises(FileNotFoundError, match=link):
        stage(root, tmp_path / "out")


def test_dead_links_are_found(tmp_path):
    write(
        tmp_path,
        **{
            "index.html": '<a href="a.html#part">1</a><a href="https://example.org">2</a><a href="b.html">3</a>',
            "a.html": '<h2 id="part">x</h2><a href="./index.html#none">4</a><a href="#part">5</a>',
            "sub__c.html": '<img src="../no.png"><link rel="stylesheet" href="https://example.org/font.css">',
        },
    )
    assert list(find_dead_links(tmp_path)) == [
        "a.html: ./index.html#none has no such heading",
        "index.html: b.html does not exist",
        "sub/c.html loads https://example.org/font.css",
        "sub/c.html: ../no.png does not exist",
    ]


def test_every_command_is_described():
    page = describe_commands()
    for name in ("recognize", "train", "bench latency", "data check"):
        assert f"\n## mien {name}\n" in page
    assert "Usage: mien recognize" in page
