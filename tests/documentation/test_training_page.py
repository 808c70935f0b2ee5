"""The page on training names every setting, and the options of its commands exist."""

from __future__ import annotations

import json
import re
from itertools import takewhile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.training.recipe import Recipe, Settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
GROUPS = {
    name: field.annotation
    for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Settings)
}


def test_bf16_is_as_fast_beside_32_bits_as_recorded():
    slow, fast = json.loads((ROOT / "results" / "training_processor.json").read_text(encoding="utf-8"))["recipes"]
    text = " ".join(PAGE.split())
    assert f"trains {fast['ratio']:.2f} times as fast in bf16 as in 32 bits" in text
    assert f"{fast['images_per_second']:,.0f} against {slow['images_per_second']:,.0f} images/s" in text
    assert f"{100 * fast['share_of_peak']:.0f} and {100 * slow['share_of_peak']:.0f} % of the peaks" in text


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
