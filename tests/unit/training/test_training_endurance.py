"""Runs that end, stop, are moved and resumed: the files on disk are always complete and always the right ones."""

import dataclasses
import errno
import json
import shutil

import numpy as np
import pytest
import torch
from interrupted import break_off
from lightning.pytorch.callbacks import EarlyStopping
from safetensors.torch import save_file
from tiny_recipe import tiny_recipe

from mien.core.errors import DataError, MienError
from mien.training import checkpoints
from mien.training import fit as fit_module
from mien.training.fit import fit
from mien.training.run import create_network
from mien.training.task import Task


@pytest.fixture
def worsening(monkeypatch):
    """The first epoch is the best, and each is worse than the one before."""

    def validate(task, batch, batch_idx):
        task.log("validation/accuracy", 1 / (1 + task.current_epoch), on_epoch=True, batch_size=1)
        task.log("validation/loss", 1.0 + task.current_epoch, on_epoch=True, batch_size=1)

    monkeypatch.setattr(Task, "validation_step", validate)


def recipe(*, lr=0.05, schedule=None, **groups):
    return tiny_recipe(optimizer={"lr": lr, "weight_decay": 0}, schedule={"epochs": 3} | (schedule or {}), **groups)


def record_of(folder):
    return json.loads((folder / "record.json").read_text())


KEEP_ON = EarlyStopping("validation/loss", patience=99)


def epoch_of(folder, name):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["epoch"]


@pytest.mark.usefixtures("worsening")
def test_a_run_out_of_patience_is_finished(faces, tmp_path):
    wanted = recipe(schedule={"epochs": 5}, training={"patience": 2})
    run = fit(wanted, faces, tmp_path, quiet=True)
    assert len(run.record.curves) == 3
    assert run.record.finished
    assert record_of(tmp_path)["finished"]
    assert fit(wanted, faces, tmp_path, resume=True, quiet=True).record.curves == run.record.curves


def test_patience_may_follow_the_validation_loss(faces, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(fit_module, "EarlyStopping", lambda *given, **named: seen.append((given, named)) or KEEP_ON)
    fit(recipe(training={"patience": 3, "patience_on": "loss"}), faces, tmp_path, quiet=True)
    assert seen == [(("validation/loss",), {"mode": "min", "patience": 3})]


def test_a_run_is_finished_only_after_its_last_checkpoint(faces, tmp_path, monkeypatch):
    states = []
    save = checkpoints.WholeFiles.save_checkpoint

    def watched(files, *arguments, **options):
        states.append(record_of(tmp_path)["finished"])
        save(files, *arguments, **options)

    monkeypatch.setattr(checkpoints.WholeFiles, "save_checkpoint", watched)
    assert fit(recipe(), faces, tmp_path, quiet=True).record.finished
    assert len(states) >= 4
    assert not any(states)


def test_a_plateau_is_remembered_over_an_interruption(faces, tmp_path):
    schedule = {"name": "plateau", "epochs": 4, "plateau_factor": 0.3, "plateau_patience": 0}
    wanted = recipe(lr=1e-6, schedule=schedule)
    whole = fit(wanted, faces, tmp_path / "whole", quiet=True)
    for number in (1, 2, 3):
        folder = tmp_path / f"broken{number}"
        break_off(wanted, faces, folder, epoch=number)
        broken = fit(wanted, faces, folder, resume=True, quiet=True)
        for key in ("lr", "train_loss", "validation_loss"):
            assert [p[key] for p in broken.record.curves] == [p[key] for p in whole.record.curves]
    assert whole.record.curves[-1]["lr"] < 1e-6


@pytest.mark.usefixtures("worsening")
def test_a_moved_run_still_knows_its_best_epoch(faces, tmp_path):
    break_off(recipe(), faces, tmp_path / "before", epoch=1)
    shutil.move(tmp_path / "before", tmp_path / "after")
    moved = fit(recipe(), faces, tmp_path / "after", resume=True, quiet=True)
    assert moved.record.selection["epoch"] == 0
    assert epoch_of(tmp_path / "after", "best") == 0
    assert epoch_of(tmp_path / "after", "last") == 2


class TestFilesAreCompleteOrUnchanged:
    def test_a_full_disk_leaves_the_file_before(self, tmp_path, monkeypatch):
        path = tmp_path / "checkpoints" / "last.ckpt"
        checkpoints.WholeFiles().save_checkpoint({"epoch": 0}, path)

        def fill(number):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(checkpoints.os, "fsync", fill)
        with pytest.raises(OSError, match="No space left"):
            checkpoints.WholeFiles().save_checkpoint({"epoch": 1}, path)
        assert torch.load(path, weights_only=True) == {"epoch": 0}
        assert list(path.parent.iterdir()) == [path]

    def test_a_damaged_checkpoint_cannot_be_resumed_and_says_so(self, faces, tmp_path):
        fit(recipe(), faces, tmp_path, minutes=1e-9, quiet=True)
        (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"half a checkpoint")
        with pytest.raises(MienError, match=r"last\.ckpt cannot be read .* it is damaged or not a checkpoint"):
            fit(recipe(), faces, tmp_path, resume=True, quiet=True)


class TestWeightsToStartFrom:
    @pytest.fixture
    def files(self, tmp_path):
        state = create_network(recipe(), 7).state_dict()
        save_file(state, tmp_path / "one.safetensors")
        save_file({name: tensor + 1 for name, tensor in state.items()}, tmp_path / "two.safetensors")
        return str(tmp_path / "one.safetensors"), str(tmp_path / "two.safetensors")

    def test_a_run_killed_in_its_first_epoch_needs_the_same_again(self, faces, files, tmp_path):
        step = Task.training_step
        for first, second, line in (
            (files[0], "", r"started from one\.safetensors, not from random weights"),
            ("", files[0], r"started from random weights, not from one\.safetensors"),
            (files[0], files[1], r"started from one\.safetensors, not from two\.safetensors"),
        ):
            folder = tmp_path / f"{bool(first)} {bool(second)}"
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Task, "training_step", lambda *arguments: 1 / 0)
                with pytest.raises(ZeroDivisionError):
                    fit(recipe(weights=first), faces, folder, quiet=True)
            assert Task.training_step is step
            with pytest.raises(MienError, match=line):
                fit(recipe(weights=second), faces, folder, resume=True, quiet=True)
            assert fit(recipe(weights=first), faces, folder, resume=True, quiet=True).record.finished

    def test_a_run_with_an_epoch_no_longer_needs_them_but_refuses_others(self, faces, files, tmp_path):
        folder = tmp_path / "run"
        fit(recipe(weights=files[0]), faces, folder, minutes=1e-9, quiet=True)
        with pytest.raises(MienError, match=r"started from one\.safetensors, not from two\.safetensors"):
            fit(recipe(weights=files[1]), faces, folder, resume=True, quiet=True)
        assert fit(recipe(), faces, folder, resume=True, quiet=True).record.weights["file"] == "one.safetensors"


def test_other_votes_are_other_data(faces, tmp_path):
    votes = np.eye(7, dtype=np.float32)[faces.labels]
    wanted = recipe(data={"ferplus_weight": 0.5})
    fit(wanted, dataclasses.replace(faces, votes=votes), tmp_path, minutes=1e-9, quiet=True)
    other = dataclasses.replace(faces, votes=np.roll(votes, 1, axis=1))
    with pytest.raises(MienError, match="run on other data"):
        fit(wanted, other, tmp_path, resume=True, quiet=True)


def test_a_missing_split_is_an_error_before_training(faces, tmp_path):
    few = faces.subset(faces.splits != "test")
    with pytest.raises(DataError, match="has no split 'test'"):
        fit(recipe(data={"score_split": "test"}), few, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()
