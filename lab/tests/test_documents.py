"""The documentation's links, commands and recipes exist, and its tables of settings are complete."""

import re
from itertools import takewhile

import pytest
from typer.testing import CliRunner

from lab import ROOT
from mien.apps.cli import app
from mien.evaluation.report.runs import read_json
from mien.recipes import Recipe, load_recipe
from mien.recipes.settings import Settings

README = (ROOT / "README.md").read_text(encoding="utf-8")
TRAINING = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
FOLDERS = (".", "docs", "docs/papers", "docs/results", "results", "weights")
PAGES = [page for folder in FOLDERS for page in sorted((ROOT / folder).glob("*.md"))]
GROUPS = {
    name: field.annotation
    for name, field in Recipe.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Settings)
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page):
    blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.partition(" #")[0] for line in re.findall(r"^(?:\$ )?(mien .*)$", "\n".join(blocks), re.MULTILINE)]
    for line in lines:
        words = line.split()[1:]
        group = words[0] in {"bench", "data"}
        shown = CliRunner().invoke(app, [*words[: 1 + group], "--help"], env={"COLUMNS": "200"})
        assert shown.exit_code == 0, line
        for option in re.findall(r" (--[a-z0-9-]+)", line):
            assert option in shown.output, line


def test_recipes_of_the_readme_exist():
    for name in re.findall(r"mien train ([\w/]+)", README):
        assert load_recipe(name)


def test_readme_has_the_shipped_scores():
    scores = read_json(ROOT / "src/mien/assets/default.json")["scores"]
    for part in (scores, scores["without_duplicates"]):
        assert f"{100 * part['accuracy']:.2f} %" in README
        assert f"{100 * part['mean_class_accuracy']:.2f} %" in README


@pytest.mark.parametrize("group", GROUPS)
def test_every_setting_is_in_the_table_of_the_page_on_training(group):
    table = TRAINING[TRAINING.index("## Settings") :]
    rows = table[table.index(f"| `{group}` |") :].splitlines()
    own = [rows[0], *takewhile(lambda row: row.startswith("| | "), rows[1:])]
    named = set(re.findall(r"`(\w+)`", " ".join(row.split("|")[2] for row in own)))
    assert named == set(GROUPS[group].model_fields)
