"""The page on training names every setting, and the options of its commands exist."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.training.recipe import Recipe, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
GROUPS = {
    name: field.annotation
    for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Settings)
}


@pytest.mark.parametrize("group", GROUPS)
def test_every_setting_is_in_the_table(group):
    table = PAGE[PAGE.index("## Settings") : PAGE.index("## Stopping")]
    rows = table[table.index(f"| `{group}` |") :].splitlines()
    own = [rows[0], *takewhile(lambda row: row.startswith("| | "), rows[1:])]
    named = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[2] for row in own)))
    assert named == set(GROUPS[group].model_fields)


@pytest.mark.parametrize("command", ["train", "train-all", "bench train"])
def test_options_of_the_page_exist(command):
    lines = re.findall(rf"mien {command} (?!-all)(.*?)(?:#|$|`)", PAGE, re.MULTILINE)
    assert lines
    shown = CliRunner().invoke(app, [*command.split(), "--help"]).output
    for option in re.findall(r"--[a-z-]+", " ".join(lines)):
        assert option in shown
