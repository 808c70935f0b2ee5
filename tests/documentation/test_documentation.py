"""The documentation says what the records say, and its links and commands exist."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.training.recipe import load_recipe

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
AGREEMENT = ("found", "same_label", "accuracy", "accuracy_direct")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("results/*.md")]


def read(path):
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_readme_has_the_recorded_scores():
    scores = read("src/mien/assets/default.json")["scores"]
    for part in (scores, scores["without_duplicates"]):
        for key in ("accuracy", "mean_class_accuracy"):
            assert f"{100 * part[key]:.2f} %" in README
        for key in ("macro_f1", "ece"):
            assert f"{part[key]:.3f}" in README
        assert f"{part['n']:,}" in README
    for name, row in scores["per_class"].items():
        assert f"{name} {100 * row['recall']:.0f} %" in README


def test_readme_has_the_recorded_benchmarks():
    assert f"1/{read('results/latency.json')['ratio']:.1f} of the time" in README
    younger = read("results/latency_avx512_bf16.json")
    assert f"on a younger processor [1/{younger['ratio']:.1f}]" in README
    times = [younger[network]["median_ms"] for network in ("model", "reference")]
    assert "{:.1f} against {:.1f})".format(*times) in README
    agreement = read("results/agreement.json")
    for detector in ("yunet", "haar"):
        row = [f"{100 * agreement[f'{detector}_photograph'][key]:.1f} %" for key in AGREEMENT]
        row += [f"{100 * agreement[f'{detector}_border'][key]:.1f} %" for key in AGREEMENT]
        assert " | ".join(row) in README


def test_commands_and_options_of_the_readme_exist():
    lines = [line.partition("#")[0].strip() for line in re.findall(r"^(?:\$ )?(mien .*)$", README, re.MULTILINE)]
    assert len(lines) >= 10
    for line in lines:
        words = line.split()[1:]
        command = [word for word in words[:2] if re.fullmatch("[a-z-]+", word)]
        for depth in (len(command), 1):
            shown = CliRunner().invoke(app, [*command[:depth], "--help"])
            if shown.exit_code == 0:
                break
        assert shown.exit_code == 0, line
        for option in re.findall(r"--[a-z-]+", line):
            assert option in shown.output, line


def test_recipes_of_the_readme_exist():
    for name in re.findall(r"mien train ([\w/]+)", README):
        assert load_recipe(name)
