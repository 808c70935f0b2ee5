"""Training: targets, the schedule, resuming after a kill, and what a run leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from mien.core.errors import DataError, MienError
from mien.data.registry import load
from mien.training.batches import make_targets
from mien.training.fit import fit, has_compiler, measure_input
from mien.training.recipe import Recipe, ScheduleSettings
from mien.training.run import load_run
from mien.training.task import Task, lr_share

TINY = {
    "name": "tiny",
    "data": {"dataset": "synthetic", "not_a_face_share": 0.1},
    "network": {"name": "resnet18", "options": {"width": 4, "stem": "small"}},
    "optimizer": {"name": "sgd", "lr": 0.05, "options": {"momentum": 0.9}},
    "augmentation": {"rotation": 5, "erasing": 0.3, "mixup": 0.2},
    "schedule": {"epochs": 3},
    "training": {"batch_size": 32, "ema_decay": 0.9, "threads": 1, "use_deterministic": True},
}


@pytest.fixture(scope="module")
def faces():
    return load("synthetic", None).subset(np.arange(0, 560, 3))


@pytest.fixture(autouse=True)
def restore_torch():
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)


def weights(path):
    return torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


class TestTargets:
    def recipe(self, **data):
        return Recipe.model_validate(TINY | {"data": {"dataset": "synthetic", **data}})

    def test_votes_are_mixed_in_by_weight_and_not_a_face_has_its_own_column(self, faces):
        import dataclasses

        few = faces.subset(np.arange(3))
        votes = np.full((3, 7), 1 / 7, np.float32)
        few = dataclasses.replace(few, votes=votes, is_face=np.array([True, True, False]))
        targets = make_targets(few, self.recipe(ferplus_weight=0.25, not_a_face_share=0.1))
        own = np.eye(7)[few.labels[0]]
        assert np.allclose(targets[0, :7], 0.75 * own + 0.25 / 7)
        assert targets[2].tolist() == [0] * 7 + [1]
        assert np.allclose(targets.sum(1), 1)

    def test_votes_wanted_but_absent(self, faces):
        with pytest.raises(DataError, match=r"fer2013new\.csv"):
            make_targets(faces, self.recipe(ferplus_weight=0.5))


class TestSchedule:
    def test_cosine_warms_up_peaks_and_ends_at_its_floor(self):
        schedule = ScheduleSettings(epochs=10, warmup_epochs=2, final_lr_share=0.1)
        shares = [lr_share(step, 10, schedule) for step in range(101)]
        assert shares[0] < 0.06
        assert np.all(np.diff(shares[:20]) > 0)
        assert shares[20] == 1
        assert np.all(np.diff(shares[20:]) < 0)
        assert shares[100] == pytest.approx(0.1)
        assert shares[60] == pytest.approx(0.55)

    def test_constant_stays_at_the_peak(self):
        schedule = ScheduleSettings(name="constant", warmup_epochs=0)
        assert {lr_share(step, 10, schedule) for step in range(50)} == {1.0}


def test_a_run_leaves_record_curves_and_weights(faces, tmp_path):
    run = fit(Recipe.model_validate(TINY), faces, tmp_path / "run", quiet=True)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert [point["epoch"] for point in record["curves"]] == [0, 1, 2]
    assert record["data"]["fingerprint"] == faces.fingerprint
    assert record["recipe"]["optimizer"]["lr"] == 0.05
    assert record["selection"]["rule"] == "best epoch on validation accuracy"
    best = max(point["validation_accuracy"] for point in record["curves"])
    assert record["curves"][record["selection"]["epoch"]]["validation_accuracy"] == best
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))
    assert run.network(torch.zeros(2, 1, 48, 48)).shape == (2, 8)
    assert not run.network.training
    with pytest.raises(MienError, match="already holds a run"):
        fit(Recipe.model_validate(TINY), faces, tmp_path / "run", quiet=True)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_narrow_network_trains_on_two_threads(faces, tmp_path, precision):
    # a memory error of oneDNN, met by 35 channels-last images in 32 bits, once ended the process here
    settings = TINY["training"] | {"threads": 2, "precision": precision}
    run = fit(Recipe.model_validate(TINY | {"training": settings}), faces, tmp_path, quiet=True)
    assert len(run.record.curves) == 3


def test_resumed_run_equals_an_unbroken_one(faces, tmp_path):
    recipe = Recipe.model_validate(TINY)
    fit(recipe, faces, tmp_path / "whole", quiet=True)
    broken = tmp_path / "broken"

    whole_step = Task.training_step

    def step_or_stop(task, batch, batch_idx):
        if task.current_epoch == 1 and batch_idx == 1:
            raise MienError("killed")
        return whole_step(task, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "training_step", step_or_stop)
        with pytest.raises(MienError, match="killed"):
            fit(recipe, faces, broken, quiet=True)
    fit(recipe, faces, broken, resume=True, quiet=True)
    assert same(weights(tmp_path / "whole"), weights(broken))
    curves = [json.loads((tmp_path / name / "record.json").read_text())["curves"] for name in ("whole", "broken")]
    assert [p["train_loss"] for p in curves[0]] == [p["train_loss"] for p in curves[1]]


def test_resume_refuses_another_recipe_and_other_data(faces, tmp_path):
    fit(Recipe.model_validate(TINY | {"schedule": {"epochs": 1}}), faces, tmp_path, quiet=True)
    with pytest.raises(MienError, match=r"another recipe \(schedule differ\)"):
        fit(Recipe.model_validate(TINY), faces, tmp_path, resume=True, quiet=True)
    recipe = Recipe.model_validate(TINY | {"schedule": {"epochs": 1}})
    with pytest.raises(MienError, match="other data"):
        fit(recipe, faces.subset(np.arange(150)), tmp_path, resume=True, quiet=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_process_resumes_to_the_unbroken_result(tmp_path):
    settings = [
        "schedule.epochs=3",
        "network.options.width=4",
        "training.use_deterministic=true",
        "training.threads=1",
    ]
    flags = [word for setting in settings for word in ("--set", setting)]

    def command(folder, *more):
        return [
            sys.executable,
            "-m",
            "mien",
            "train",
            "resnet18/synthetic",
            "--quiet",
            "--out",
            str(folder),
            *flags,
            *more,
        ]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True, timeout=200)
    process = subprocess.Popen(command(tmp_path / "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed/checkpoints/last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(command(tmp_path / "killed", "--resume"), check=True, capture_output=True, timeout=200)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_loss_that_is_no_number_stops_the_run_and_spares_the_checkpoint(faces, tmp_path):
    recipe = Recipe.model_validate(TINY)
    prepare = Task._prepare

    def diverge(task, images, targets):
        images, targets = prepare(task, images, targets)
        return images * (float("nan") if task.current_epoch == 1 else 1), targets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "_prepare", diverge)
        with pytest.raises(MienError, match="loss of epoch 1 is not a number"):
            fit(recipe, faces, tmp_path, quiet=True)
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path).values())
    assert [p["epoch"] for p in json.loads((tmp_path / "record.json").read_text())["curves"]] == [0]


def test_interrupted_training_says_how_to_go_on(faces, tmp_path):
    def interrupt(task, batch, batch_idx):
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "training_step", interrupt)
        with pytest.raises(MienError, match="--resume"):
            fit(Recipe.model_validate(TINY), faces, tmp_path, quiet=True)
    signal.signal(signal.SIGINT, handler)


def test_flat_training_images_are_refused():
    with pytest.raises(DataError, match="flat colour"):
        measure_input(torch.zeros(4, 1, 48, 48, dtype=torch.uint8), Recipe.model_validate(TINY))


def test_folder_without_a_run(tmp_path):
    with pytest.raises(MienError, match="holds no run"):
        load_run(tmp_path)


def test_damaged_run_folder_is_one_clear_line(tmp_path):
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(MienError, match="is not a run record"):
        load_run(tmp_path)


def test_damaged_checkpoint_is_one_clear_line(faces, tmp_path):
    fit(Recipe.model_validate(TINY | {"schedule": {"epochs": 1}}), faces, tmp_path, quiet=True)
    (tmp_path / "checkpoints" / "best.ckpt").write_bytes(b"no checkpoint")
    with pytest.raises(MienError, match="is damaged or no checkpoint"):
        load_run(tmp_path)


def test_training_goes_on_without_a_compiler(monkeypatch, capsys):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert not has_compiler()
    assert "without torch.compile" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_network_trains_as_the_plain_one(faces, tmp_path):
    curves = []
    for use_compile in (False, True):
        settings = TINY["training"] | {"use_compile": use_compile}
        run = fit(
            Recipe.model_validate(TINY | {"training": settings, "schedule": {"epochs": 1}}),
            faces,
            tmp_path / str(use_compile),
            quiet=True,
        )
        curves.append(run.record.curves[0]["train_loss"])
    assert curves[0] == pytest.approx(curves[1], rel=1e-3)
