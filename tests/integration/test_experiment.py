"""An experiment through the command line: what it plans, writes, and does when it is rerun."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.core.errors import RecipeError
from mien.evaluation.predictions import Predictions
from mien.evaluation.scores import score
from mien.recipes import load_ablations, load_recipe, names
from mien.training.experiment import PAPER_PROTOCOL, ablations_of, plan_jobs, sample_rows, summarize
from mien.training.ledger import LedgerRow

pytestmark = pytest.mark.usefixtures("torch_threads")

RECIPE = """
name = "drawn/tiny"
paper = "none"

[data]
dataset = "synthetic"
protocol = "k-fold"
folds = 3

[network]
name = "resnet18"
input_size = 32
options = { width = 4, stem = "small" }

[schedule]
epochs = 1

[training]
batch_size = 64
threads = 1

[ablation.wide]
network.options.width = 6

[ablation.paper_protocol]
data.protocol = "ratio"
data.counts = [300, 100]
data.held_out = "validation"
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return "tiny.toml"


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_paper_and_clean_side_by_side_and_a_rerun_changes_nothing(recipe, tmp_path):
    command = ["experiment", recipe, "--out", "out", "--protocol", "both", "--json"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 0, first.output
    paper, clean = json.loads(first.stdout)
    assert [(row["protocol"], row["split"], row["finished"]) for row in (paper, clean)] == [
        ("paper", "validation", 1), ("clean", "test", 1),
    ]  # fmt: skip

    folder = tmp_path / "out" / "drawn-tiny-clean-seed0"
    record = json.loads((folder / "record.json").read_text())
    assert record["finished"]
    assert record["data"]["protocol"] == {
        "name": "k-fold", "folds": 3, "fold": 0, "seed": 0, "held_out": "test", "use_clean": True,
    }  # fmt: skip
    assert record["data"]["score_split"] == "test"
    assert record["selection"]["rule"] == "best epoch on validation accuracy"
    predictions = Predictions.load(folder / "predictions.npz")
    assert predictions.split == "test"
    assert not predictions.is_duplicate.any()
    assert score(predictions)["accuracy"] == record["scores"]["accuracy"] == clean["accuracy"]
    with np.load(folder / "features.npz") as saved:
        assert saved["features"].dtype == np.float16
        assert saved["features"].shape == (len(predictions), 32)
        np.testing.assert_array_equal(saved["labels"], predictions.labels)
        np.testing.assert_array_equal(saved["rows"], predictions.rows)
    papers = Predictions.load(tmp_path / "out" / "drawn-tiny-paper-seed0" / "predictions.npz")
    assert (papers.split, len(papers)) == ("validation", 100)
    assert papers.fingerprint != predictions.fingerprint

    before = contents(tmp_path / "out")
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0
    assert again.stdout == first.stdout
    assert contents(tmp_path / "out") == before


def test_an_ablation_that_does_not_fit_ends_it_before_the_first_run(recipe, tmp_path):
    (tmp_path / "tiny.toml").write_text(RECIPE + "\n[ablation.odd]\nnetwork.options.widht = 6\n")
    done = CliRunner().invoke(app, ["experiment", recipe, "--out", "out", "--all", "--folds"])
    assert done.exit_code == 1
    assert "No option 'widht'" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_seed_by_seed_over_ablations_and_folds(recipe):
    jobs, variants = plan_jobs(recipe, ("wide",), (0, 3), use_all_folds=True)
    assert len(jobs) == 2 * 2 * 3
    assert [job.seed for job in jobs] == [0] * 6 + [3] * 6
    assert [job.entry.name for job in jobs[:4]] == [
        "drawn/tiny-fold0", "drawn/tiny-fold1", "drawn/tiny-fold2", "drawn/tiny-wide-fold0",
    ]  # fmt: skip
    wide = jobs[10].load_recipe()
    assert (wide.ablation, wide.data.fold, wide.training.seed) == ("wide", 1, 3)
    assert [variant.ablation for variant in variants] == ["", "wide"]


def test_folds_are_run_if_the_protocol_has_any(recipe):
    jobs, _ = plan_jobs(recipe, protocol="both", use_all_folds=True)
    assert [job.entry.name for job in jobs] == ["drawn/tiny-paper", *(f"drawn/tiny-clean-fold{k}" for k in range(3))]


def test_an_ablation_with_its_own_protocol_keeps_it(recipe):
    jobs, _ = plan_jobs("sldcnn/fer2013", ("ten_fold", "no_penalty"), protocol="paper", use_all_folds=True)
    protocols = [job.load_recipe().data.protocol for job in jobs]
    assert protocols == ["ratio", *10 * ["k-fold"], "ratio"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"ablations": ("wild",)}, "has no ablation 'wild'. Did you mean 'wide'"),
        ({"protocol": "honest"}, "No protocol 'honest'"),
        ({"seeds": (1, 1)}, "different numbers"),
        ({"seeds": (-1,)}, "different numbers"),
        ({"overrides": ('data.protocol="official"',), "use_all_folds": True}, "which has no folds"),
        ({"overrides": ("data.fold=3",)}, "Fold 3 is out of range"),
        ({"overrides": ('paper=""',), "protocol": "both"}, "follows no paper"),
        ({"overrides": ('name="a b"',)}, "'a b' cannot name a run"),
    ],
)
def test_mistakes_end_it_before_the_first_run(recipe, wanted, message):
    with pytest.raises(RecipeError, match=message):
        plan_jobs(recipe, **wanted)


def test_missing_data_end_it_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["experiment", "resnet18/fer2013", "--out", "out"])
    assert (done.exit_code, "--data PATH" in str(done.exception)) == (1, True)
    assert not (tmp_path / "out").exists()


def test_seeds_that_are_not_numbers(recipe):
    done = CliRunner().invoke(app, ["experiment", recipe, "--seeds", "0;1"])
    assert isinstance(done.exception, RecipeError)
    assert "expected whole numbers" in str(done.exception)


def test_summary_has_mean_and_sample_deviation(recipe):
    jobs, variants = plan_jobs(recipe, seeds=(0, 1), use_all_folds=True)
    rows = {}
    for number, job in enumerate(jobs[:5]):
        accuracy = 0.5 + number / 10
        scores = {"accuracy": accuracy, "mean_class_accuracy": accuracy / 2, "split": "test"}
        row = LedgerRow(job.entry.name, recipe, None, [], job.seed, state="finished" if number < 3 else "failed")
        row.scores = scores | {"without_duplicates": {"accuracy": accuracy}}
        rows[row.name, row.seed] = row
    summary = summarize(variants[0], (0, 1), rows)
    assert (summary["finished"], summary["planned"], summary["split"]) == (3, 6, "test")
    assert summary["accuracy"] == pytest.approx(0.6)
    assert summary["accuracy_deviation"] == pytest.approx(0.1)
    assert summary["mean_class_accuracy_deviation"] == pytest.approx(0.05)
    nothing = summarize(variants[0], (0, 1), {})
    assert (nothing["finished"], nothing["accuracy"], nothing["accuracy_deviation"]) == (0, None, None)


def test_sample_keeps_the_labels_in_proportion():
    labels = np.repeat([0, 1, 2], [4000, 1000, 3000])
    rows = sample_rows(labels, 2000)
    assert len(set(rows.tolist())) == 2000
    assert (np.diff(rows) > 0).all()
    np.testing.assert_allclose(np.bincount(labels[rows]), [1000, 250, 750], atol=2)
    np.testing.assert_array_equal(sample_rows(labels[:50], 2000), np.arange(50))


@pytest.mark.parametrize("name", names())
def test_shipped_protocols_are_valid(name):
    """Each recipe, with every protocol it has, is valid; a paper's protocol changes the data and nothing else."""
    paper = load_ablations(name).get(PAPER_PROTOCOL)
    assert PAPER_PROTOCOL not in ablations_of(name)
    if paper is not None:
        assert set(paper) == {"data"}
        assert load_recipe(name, ablation=PAPER_PROTOCOL).data != load_recipe(name).data
    if load_recipe(name).paper:
        jobs, _ = plan_jobs(name, ablations_of(name), protocol="both")
        assert len(jobs) == 2 * (1 + len(ablations_of(name)))
