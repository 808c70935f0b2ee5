from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from mien.apps.data import app
from mien.core.errors import DataError
from mien.core.plugins import plugin_files
from mien.data import registry


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    folder = tmp_path / "drawn"
    result = run("synthesize", folder, "--per-class", "3", "--seed", "5")
    assert result.exit_code == 0
    assert "Wrote 28 drawn faces" in result.stdout
    return folder


def test_synthesized_folder_has_the_split_layout(drawn: Path) -> None:
    assert len(list((drawn / "train" / "angry").glob("*.png"))) == 3
    assert len(list((drawn / "validation" / "neutral").glob("*.png"))) == 1
    assert len(list(drawn.glob("*/*/*.png"))) == 28


def test_check_prints_counts_and_findings(drawn: Path) -> None:
    duplicate = drawn / "validation" / "happy" / "duplicate.png"
    duplicate.write_bytes((drawn / "train" / "sad" / "0012.png").read_bytes())
    result = run("check", drawn)
    assert result.exit_code == 0
    assert f"{drawn}: folder, 29 images" in result.stdout
    assert "validation: 1 of 8 (12.5 %) have a duplicate in train, 1 under another label" in result.stdout
    (row,) = [line for line in result.stdout.splitlines() if "happy" in line and "│" in line]
    assert [cell.strip() for cell in row.strip("│").split("│")] == ["happy", "3", "2", "5"]


def test_check_names_folders_that_are_read_as_one_label(drawn: Path) -> None:
    (drawn / "train" / "sad").rename(drawn / "train" / "joy")
    note = "folders happy and joy are both read as happy"
    assert f"Note: {note}\n" in run("check", drawn).stdout
    assert json.loads(run("check", drawn, "--json").stdout)["notes"] == [note]


def test_check_prints_one_json_object(drawn: Path) -> None:
    result = run("check", drawn, "--json")
    report = json.loads(result.stdout)
    assert report["path"] == str(drawn)
    assert report["name"] == "folder"
    assert report["counts"]["train"]["fear"] == 3
    assert report["duplicates"][0] == {"split": "train", "of_split": "train", "duplicates": 0, "conflicting": 0}
    assert report["constant"] == 0


def test_list_has_a_line_for_each_data_set() -> None:
    lines = run("list").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == registry.names()
    assert all(registry.expects(name) in line for name, line in zip(registry.names(), lines, strict=True))


def test_check_reads_a_data_set_of_a_plugin_file(drawn: Path, tmp_path: Path) -> None:
    file = tmp_path / "own_faces.py"
    file.write_text(
        "from mien.data import folder\nEXPECTS, NEEDS_PATH, load = folder.EXPECTS, True, folder.load\n"
        "def matches(path): return False\n"
    )
    try:
        result = run("check", drawn, "--plugin", file, "--dataset", "own_faces", "--json")
        assert json.loads(result.stdout)["n"] == 28
    finally:
        plugin_files.pop(file.resolve(), None)


def test_init_makes_one_folder_per_label_and_a_guide(tmp_path: Path) -> None:
    folder = tmp_path / "our set"
    result = run("init", folder, "--labels", "happiness, sad,contempt")
    assert result.exit_code == 0
    assert f"Made 3 label folders and README.md in {folder}." in result.stdout
    assert result.stderr == "note: label happiness is read as happy\n"
    assert sorted(entry.name for entry in folder.iterdir()) == ["README.md", "contempt", "happy", "sad"]
    guide = (folder / "README.md").read_text()
    assert "happy, sad, contempt" in guide
    assert "happy/1.jpg" in guide
    assert f"mien data check '{folder}' --dataset folder" in guide
    assert not set("{}") & set(guide)


def test_init_with_splits_is_read_once_images_are_in_it(drawn: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ours"
    assert "Made 21 label folders" in run("init", folder, "--splits").stdout
    for name in ("train/angry/0000.png", "validation/angry/0021.png", "train/sad/0012.png"):
        (folder / name).write_bytes((drawn / name).read_bytes())
    report = json.loads(run("check", folder, "--json").stdout)
    assert report["name"] == "folder"
    assert report["counts"] == {"train": {"angry": 1, "sad": 1}, "validation": {"angry": 1, "sad": 0}}


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("happy,score", "something else"),
        ("happy,joy", "A label is repeated"),
        ("happy", "names 1 labels; expected two or more"),
        (",", "names 0 labels"),
    ],
)
def test_init_refuses_labels_that_could_not_be_read_back(tmp_path: Path, labels: str, expected: str) -> None:
    result = run("init", tmp_path / "ours", "--labels", labels)
    assert isinstance(result.exception, DataError)
    assert expected in str(result.exception)
    assert not (tmp_path / "ours").exists()


@pytest.mark.parametrize(
    ("command", "inside", "expected"),
    [
        ("synthesize", "", "is not empty"),
        ("init", "", "is not empty"),
        ("init", "train/angry/0000.png/ours", "cannot be made"),
    ],
)
def test_nothing_is_overwritten(drawn: Path, command: str, inside: str, expected: str) -> None:
    before = sorted(drawn.rglob("*"))
    result = run(command, drawn / inside)
    assert isinstance(result.exception, DataError)
    assert expected in str(result.exception)
    assert sorted(drawn.rglob("*")) == before
