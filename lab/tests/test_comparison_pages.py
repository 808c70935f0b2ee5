"""The pages of comparisons: rows of the queue, filled from records."""

from __future__ import annotations

import pytest

from lab import ROOT
from lab.comparison_pages import make_comparison_pages
from lab.intervals import paired_test
from mien.evaluation.report.runs import Run
from mien.models.modulators import registry as modulators

QUEUE = ROOT / "lab" / "queue.toml"


def run(name: str, seed: int, accuracy: float, minutes: float = 10.0) -> Run:
    scores = {"accuracy": accuracy, "mean_class_accuracy": accuracy - 0.1}
    return Run(
        f"runs/{name}-{seed}",
        {"name": name, "recipe": {"training": {"seed": seed}}, "scores": scores, "minutes": minutes},
    )


def row(page: str, name: str) -> list[str]:
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_without_records_every_module_is_not_run_yet() -> None:
    page = make_comparison_pages(QUEUE, [])["modules.md"]
    for module in ("none", *modulators.names()):
        assert row(page, module)[3] == "not run yet"
    assert row(page, "hfc")[1] == "+290"  # 64 + 49 and 128 + 49 weights


def test_differences_are_taken_seed_by_seed() -> None:
    plain, own = (0.60, 0.62, 0.61), (0.61, 0.635, 0.61)
    runs = [run("modules/fer2013-none-short", seed, value) for seed, value in enumerate(plain)]
    runs += [run("modules/fer2013-se-short", seed, value, 15.0) for seed, value in enumerate(own)]
    cells = row(make_comparison_pages(QUEUE, runs)["modules.md"], "se")
    assert cells[3] == "61.83 % ± 1.44 (3)"
    assert cells[5].startswith("+0.83 (-1.06 to +2.73)")
    assert (cells[6], cells[7]) == ("0.199", "1.50")


def test_folds_of_a_network_are_joined_and_the_gap_is_that_of_the_divisions() -> None:
    runs = [run(f"sldcnn/ckplus-ldcnn-paper-short-fold{fold}", 0, 0.9 + fold / 100) for fold in range(2)]
    runs += [run("sldcnn/ckplus-ldcnn-subjects-short-fold0", 0, 0.8)]
    cells = row(make_comparison_pages(QUEUE, runs)["ckplus.md"], "sldcnn ldcnn")
    assert cells == ["sldcnn ldcnn", "80.50 % ± 0.71 (2)", "70.00 % (1)", "10.50"]


def test_paired_test_agrees_with_tables() -> None:
    found = paired_test([1.0, 2.0, 3.0, 4.0])
    assert found is not None
    assert found.high - found.mean == pytest.approx(3.182 * 1.29099 / 2, rel=1e-3)
    assert found.p == pytest.approx(0.0305, abs=2e-4)
    assert paired_test([1.0]) is None
    assert paired_test([0.0, 0.0]) == (0.0, 0.0, 0.0, 1.0)
