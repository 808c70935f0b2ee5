"""A queue through the command line: the budget ends, a rerun finishes, a failure affects its run only."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.core.card import ModelCard
from mien.inference.model import OnnxModel
from mien.training.task import Task

pytestmark = pytest.mark.usefixtures("torch_threads")

QUEUE = """
[[run]]
name = "long/drawn"
recipe = "resnet18/synthetic"
set = ["schedule.epochs=12", "network.options.width=4", "training.threads=1"]
seeds = [5]
why = "it outlasts the first budget"

[[run]]
name = "broken/drawn"
recipe = "resnet18/synthetic"
set = ["network.name=resnet19"]

[[run]]
name = "short/drawn"
recipe = "resnet18/synthetic"
set = ["schedule.epochs=1", "network.options.width=4", "network.input_size=32", "training.threads=1"]
"""


@pytest.fixture
def mien(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "queue.toml").write_text(QUEUE)

    def run(*words):
        return CliRunner().invoke(app, ["train-all", "queue.toml", "--out", "runs", *words])

    return run


def listed(mien):
    shown = mien("--list", "--json")
    assert shown.exit_code == 0, shown.output
    return {row["name"]: row for row in json.loads(shown.stdout)}


@pytest.mark.slow
def test_a_queue_is_finished_by_a_rerun(mien, tmp_path, monkeypatch):
    assert [row["state"] for row in listed(mien).values()] == ["waiting"] * 3
    assert "no time is left for 3 more: long/drawn seed 5" in mien("--minutes", "0").output
    assert not (tmp_path / "runs").exists()

    whole_step = Task.training_step

    def slow_step(task, batch, batch_idx):
        time.sleep(0.1)
        return whole_step(task, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Task, "training_step", slow_step)  # 12 epochs take at least 15 s
        first = mien("--minutes", "0.1", "--only", "long/*")
    assert first.exit_code == 0, first.output
    row = listed(mien)["long/drawn"]
    assert row["state"] == "unfinished"
    assert 1 <= row["epochs_done"] < 12
    assert row["scores"] == {}

    second = mien()
    assert second.exit_code == 1
    assert "1 run failed" in second.stderr
    rows = listed(mien)
    assert [rows[name]["state"] for name in ("long/drawn", "broken/drawn", "short/drawn")] == [
        "finished", "failed", "finished",
    ]  # fmt: skip
    assert "Did you mean 'resnet18'?" in rows["broken/drawn"]["message"]
    long = rows["long/drawn"]
    assert (long["epochs_done"], long["epochs_planned"], long["seed"]) == (12, 12, 5)
    assert long["why"] == "it outlasts the first budget"
    record = json.loads((tmp_path / "runs" / long["record"]).read_text())
    assert [point["epoch"] for point in record["curves"]] == list(range(12))
    assert record["scores"]["accuracy"] == long["scores"]["accuracy"]
    assert (long["commit"], long["minutes"]) == (record["commit"], record["minutes"])
    card: ModelCard = OnnxModel.load(tmp_path / "runs" / "long-drawn-seed5" / "model.onnx").card
    assert card.name == "long/drawn"
    assert card.scores["accuracy"] == long["scores"]["accuracy"]

    ledger = (tmp_path / "runs" / "ledger.json").read_text()
    again = mien("--only", "long/drawn", "--only", "short/drawn")
    assert again.exit_code == 0
    assert again.output == ""
    assert (tmp_path / "runs" / "ledger.json").read_text() == ledger

    table = mien("--list").stdout
    assert "finished" in table
    assert "broken/drawn seed 0: " in table


@pytest.mark.slow
def test_an_interruption_ends_the_queue_and_keeps_the_run(mien, tmp_path):
    # a shell that runs the tests in its background ignores Ctrl-C, and its children inherit that
    start = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from mien.apps.cli import main"
    command = [sys.executable, "-c", f"{start}; main()", "train-all", "queue.toml", "--out", "runs"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "runs/long-drawn-seed5/checkpoints/last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    rows = json.loads((tmp_path / "runs/ledger.json").read_text())
    assert [(row["name"], row["state"]) for row in rows] == [("long/drawn", "unfinished")]
    assert 1 <= rows[0]["epochs_done"] < 12


def test_unknown_names_and_missing_queues_are_one_line(mien, tmp_path):
    unknown = mien("--list", "--only", "lang/drawn")
    assert "Did you mean 'long/drawn'?" in str(unknown.exception)
    missing = CliRunner().invoke(app, ["train-all", str(tmp_path / "none.toml")])
    assert "No queue file" in str(missing.exception)
