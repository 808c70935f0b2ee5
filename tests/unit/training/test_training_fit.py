"""Training: targets, the schedule, resuming, errors, and what a run writes."""

import dataclasses
import errno
import itertools
import json
import os
import signal
import subprocess
import sys
import time

import lightning as L
import numpy as np
import pytest
import torch
from interrupted import break_off

from mien.core.errors import DataError, MienError, RecipeError
from mien.models.complexity import count_macs
from mien.recipes import Recipe, parse_recipe
from mien.recipes.schema import ScheduleSettings
from mien.training.batches import FaceSampler
from mien.training.checkpoints import WholeFiles
from mien.training.faces import Faces, make_faces, make_targets, measure_input
from mien.training.fit import check_folder, fit
from mien.training.run import create_network, load_run, run_card
from mien.training.schedule import lr_share
from mien.training.task import Task

TINY = {
    "name": "tiny",
    "data": {"dataset": "synthetic", "not_a_face_share": 0.1},
    "network": {"name": "resnet18", "options": {"width": 4, "stem": "small"}},
    "optimizer": {"name": "sgd", "lr": 0.05, "options": {"momentum": 0.9}},
    "augmentation": {"rotation": 5, "erasing": 0.3, "mixup": 0.2},
    "schedule": {"epochs": 3},
    "training": {"batch_size": 32, "ema_decay": 0.9, "threads": 1, "use_deterministic": True},
}


def weights(path):
    return torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


class TestTargets:
    def recipe(self, **data):
        return Recipe.model_validate(TINY | {"data": {"dataset": "synthetic", **data}})

    def test_votes_are_mixed_in_by_weight_and_not_a_face_has_its_own_column(self, faces):
        few = faces.subset(np.arange(3))
        votes = np.full((3, 7), 1 / 7, np.float32)
        few = dataclasses.replace(few, votes=votes, is_face=np.array([True, True, False]))
        targets = make_targets(few, self.recipe(ferplus_weight=0.25, not_a_face_share=0.1))
        own = np.eye(7)[few.labels[0]]
        assert np.allclose(targets[0, :7], 0.75 * own + 0.25 / 7)
        assert targets[2].tolist() == [0] * 7 + [1]
        assert np.allclose(targets.sum(1), 1)
        scored = make_targets(few, self.recipe(ferplus_weight=0.25, not_a_face_share=0.1), use_own_labels=True)
        assert np.array_equal(scored, np.eye(8)[few.labels])

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

    def test_cosine_starts_again_every_cycle(self):
        schedule = ScheduleSettings(epochs=9, warmup_epochs=0, cycle_epochs=3, final_lr_share=0.1)
        shares = [lr_share(step, 10, schedule) for step in range(90)]
        assert shares[:30] == shares[30:60] == shares[60:]
        assert shares[0] == 1
        assert 0.1 < shares[29] < 0.11

    def test_linear_is_a_line_over_the_whole_run_times_the_warm_up(self):
        schedule = ScheduleSettings(name="linear", epochs=10, warmup_epochs=2, final_lr_share=0.1)
        shares = [lr_share(step, 10, schedule) for step in range(101)]
        assert shares[20:] == pytest.approx([1 - 0.9 * step / 100 for step in range(20, 101)])
        assert shares[9] == pytest.approx(10 / 21 * (1 - 0.9 * 0.09))

    def test_plateau_has_no_warm_up(self):
        with pytest.raises(RecipeError, match="'schedule': a plateau schedule has no warm-up"):
            parse_recipe(TINY | {"schedule": {"name": "plateau"}}, "x")


def test_a_run_writes_record_curves_and_weights(faces, tmp_path):
    run = fit(Recipe.model_validate(TINY), faces, tmp_path / "run", quiet=True)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert [point["epoch"] for point in record["curves"]] == [0, 1, 2]
    assert record["data"]["fingerprint"] == faces.fingerprint
    assert record["recipe"]["optimizer"]["lr"] == 0.05
    assert record["macs"] == count_macs(run.network.folded(), 48, 1)
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
    # 35 channels-last images in 32 bits once crashed here, by a memory error of oneDNN
    settings = TINY["training"] | {"threads": 2, "precision": precision}
    recipe = Recipe.model_validate(TINY | {"training": settings, "schedule": {"epochs": 1}})
    assert len(fit(recipe, faces, tmp_path, quiet=True).record.curves) == 1


def test_plateau_lowers_the_rate_by_its_factor(faces, tmp_path):
    schedule = {"name": "plateau", "warmup_epochs": 0, "epochs": 12, "plateau_factor": 0.3, "plateau_patience": 0}
    optimizer = {"name": "sgd", "lr": 1e-6, "weight_decay": 0}  # too small to change the loss
    settings = TINY["training"] | {"ema_decay": 0}
    recipe = Recipe.model_validate(TINY | {"schedule": schedule, "optimizer": optimizer, "training": settings})
    rates = [point["lr"] for point in fit(recipe, faces, tmp_path, quiet=True).record.curves]
    assert min(rates) < 1e-6
    for before, after in itertools.pairwise(rates):
        assert after == pytest.approx(before) or after == pytest.approx(0.3 * before)


def test_a_run_out_of_time_stops_after_an_epoch_and_is_resumed(faces, tmp_path):
    recipe = Recipe.model_validate(TINY)
    for resume in (False, True):  # a second epoch would not fit
        run = fit(recipe, faces, tmp_path / "run", minutes=1e-6, resume=resume, quiet=True)
        assert (len(run.record.curves), run.record.finished) == (1, False)
    run = fit(recipe, faces, tmp_path / "run", resume=True, quiet=True)
    assert len(run.record.curves) == 3
    assert run.record.finished
    assert same(weights(tmp_path / "run"), weights_of_a_whole_run(recipe, faces, tmp_path))
    started = run.record.started
    assert fit(recipe, faces, tmp_path / "run", resume=True, quiet=True).record.started == started


def weights_of_a_whole_run(recipe, faces, tmp_path):
    fit(recipe, faces, tmp_path / "whole", quiet=True)
    return weights(tmp_path / "whole")


def test_sam_steps_by_the_gradient_at_the_worst_point_nearby(faces, tmp_path):
    """One step of SGD on one batch, computed by hand."""
    tiny = TINY | {"schedule": {"epochs": 1, "warmup_epochs": 0}, "augmentation": {"flip": 0}}
    tiny["data"] = {"dataset": "synthetic"}
    tiny["optimizer"] = {"name": "sgd", "lr": 0.1, "weight_decay": 0, "sam_rho": 0.05}
    train = len(faces.split("train"))
    tiny["training"] = {"batch_size": train, "threads": 1, "selection": "last"}
    recipe = Recipe.model_validate(tiny)
    run = fit(recipe, faces, tmp_path, quiet=True)
    stepped = run.network

    torch.manual_seed(0)
    L.seed_everything(0, verbose=False)
    network = create_network(recipe, 7).train()
    given = make_faces(faces.split("train"), recipe)
    spec = measure_input(given, recipe)
    order = list(FaceSampler(given.targets.argmax(1), seed=0))  # that of the run: sums round alike on every processor
    images, targets = (given.images[order] / 255 - spec.mean) / spec.std, given.targets[order]

    losses = []

    def gradients():
        network.zero_grad()
        losses.append(-(network(images).log_softmax(1) * targets).sum(1).mean())
        losses[-1].backward()
        return [weight.grad.clone() for weight in network.parameters()]

    first = gradients()
    norm = torch.cat([gradient.flatten() for gradient in first]).norm()
    with torch.no_grad():
        for weight, gradient in zip(network.parameters(), first, strict=True):
            weight.add_(0.05 * gradient / norm)
    second = gradients()
    with torch.no_grad():
        for weight, climb, gradient in zip(network.parameters(), first, second, strict=True):
            weight.sub_(0.05 * climb / norm + 0.1 * gradient)
    for name, weight in network.named_parameters():
        torch.testing.assert_close(stepped.get_parameter(name), weight, rtol=1e-3, atol=1e-5)
    assert run.record.curves[0]["train_loss"] == pytest.approx(losses[1].item(), abs=1e-4)  # one pass, not both


def test_a_resumed_run_equals_an_uninterrupted_one(faces, tmp_path):
    recipe = Recipe.model_validate(TINY)
    fit(recipe, faces, tmp_path / "whole", quiet=True)
    broken = tmp_path / "broken"

    break_off(recipe, faces, broken, epoch=1, batch=1)
    fit(recipe, faces, broken, resume=True, quiet=True)
    assert same(weights(tmp_path / "whole"), weights(broken))
    curves = [json.loads((tmp_path / name / "record.json").read_text())["curves"] for name in ("whole", "broken")]
    assert [p["train_loss"] for p in curves[0]] == [p["train_loss"] for p in curves[1]]


def test_resume_refuses_another_recipe_and_other_data(faces, tmp_path):
    fit(Recipe.model_validate(TINY | {"schedule": {"epochs": 1}}), faces, tmp_path, quiet=True)
    with pytest.raises(MienError, match=r"another recipe \(schedule\.epochs 1, now 3\)"):
        fit(Recipe.model_validate(TINY), faces, tmp_path, resume=True, quiet=True)
    recipe = Recipe.model_validate(TINY | {"schedule": {"epochs": 1}})
    with pytest.raises(MienError, match="other data"):
        fit(recipe, faces.subset(np.arange(150)), tmp_path, resume=True, quiet=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_older_than_a_setting_is_resumed_with_other_threads(faces, tmp_path):
    settings = TINY | {"schedule": {"epochs": 2}}
    recipe = Recipe.model_validate(settings)
    fit(recipe, faces, tmp_path / "run", minutes=1e-9, quiet=True)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    assert not record["finished"]
    assert record["recipe"]["training"].pop("workers") == 0
    (tmp_path / "run" / "record.json").write_text(json.dumps(record))
    recipe = Recipe.model_validate(settings | {"training": TINY["training"] | {"threads": 2}})
    run = fit(recipe, faces, tmp_path / "run", resume=True, quiet=True)
    assert len(run.record.curves) == 2
    assert run.record.recipe == recipe.model_dump()


def test_a_killed_process_resumes_to_the_same_result(tmp_path):
    settings = [
        "schedule.epochs=3",
        "network.options.width=4",
        "training.use_deterministic=true",
        "training.threads=1",
    ]
    flags = [word for setting in settings for word in ("--set", setting)]

    def command(folder, *more):
        words = ["train", "resnet18/synthetic", "--quiet", "--out", str(folder), *flags, *more]
        return [sys.executable, "-m", "mien", *words]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True, timeout=200)
    process = subprocess.Popen(command(tmp_path / "killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "killed/checkpoints/last.ckpt").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run(command(tmp_path / "killed", "--resume"), check=True, capture_output=True, timeout=200)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        MemoryError(),
    ],
)
def test_out_of_memory_is_one_line_and_keeps_the_checkpoint(faces, tmp_path, error):
    def exhaust(task, images, targets):
        if task.current_epoch == 1:
            raise error
        return prepare(task, images, targets)

    prepare = Task._prepare
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "_prepare", exhaust)
        with pytest.raises(MienError, match=r"ran out of memory in epoch 2; .* Lower training\.batch_size"):
            fit(Recipe.model_validate(TINY), faces, tmp_path, quiet=True)
    assert len(load_run(tmp_path).record.curves) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_line_and_keeps_the_checkpoint(faces, tmp_path, number):
    def fill(files, checkpoint, path, storage_options=None):
        if checkpoint["epoch"] == 1:
            raise OSError(number, os.strerror(number))
        save(files, checkpoint, path, storage_options)

    save = WholeFiles.save_checkpoint
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WholeFiles, "save_checkpoint", fill)
        with pytest.raises(MienError, match=r"No space for .* \([A-Z].*\); the last checkpoint is intact"):
            fit(Recipe.model_validate(TINY), faces, tmp_path, quiet=True)
    fit(Recipe.model_validate(TINY), faces, tmp_path, resume=True, quiet=True)
    assert same(weights(tmp_path), weights_of_a_whole_run(Recipe.model_validate(TINY), faces, tmp_path))


def test_a_loss_that_is_not_a_number_stops_the_run_and_keeps_the_checkpoint(faces, tmp_path):
    recipe = Recipe.model_validate(TINY)
    prepare = Task._prepare

    def diverge(task, images, targets):
        images, *rest = prepare(task, images, targets)
        return images * (float("nan") if task.current_epoch == 1 else 1), *rest

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "_prepare", diverge)
        with pytest.raises(MienError, match="loss of epoch 2 is not a number"):
            fit(recipe, faces, tmp_path, quiet=True)
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path).values())
    assert [p["epoch"] for p in json.loads((tmp_path / "record.json").read_text())["curves"]] == [0]


def test_weights_of_an_epoch_that_diverged_in_its_last_step_are_not_kept(faces, tmp_path):
    tiny = TINY | {"optimizer": {"name": "sgd", "lr": 1e30}, "schedule": {"epochs": 1, "warmup_epochs": 0}}
    tiny["training"] = TINY["training"] | {"batch_size": len(faces.split("train")), "ema_decay": 0}
    with pytest.raises(MienError, match="loss of epoch 1 is not a number"):
        fit(Recipe.model_validate(tiny), faces, tmp_path, quiet=True)
    assert not list(tmp_path.glob("checkpoints/*"))
    record = json.loads((tmp_path / "record.json").read_text())
    assert (record["curves"], record["finished"]) == ([], False)
    # no epoch is complete, so the folder accepts the recipe that the message asks for
    tiny["optimizer"] = {"name": "sgd", "lr": 0.01}
    assert fit(Recipe.model_validate(tiny), faces, tmp_path, resume=True, quiet=True).record.finished


def test_a_lost_process_is_one_line(faces, tmp_path, monkeypatch):
    def lose(*given, **named):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:6567: Connection reset by peer")

    monkeypatch.setattr(L.Trainer, "fit", lose)
    tiny = TINY | {"training": TINY["training"] | {"devices": 2}}
    with pytest.raises(MienError, match=r"Another process of this run has ended\. Continue with --resume"):
        fit(Recipe.model_validate(tiny), faces, tmp_path / "two", quiet=True)
    with pytest.raises(RuntimeError, match="gloo"):
        fit(Recipe.model_validate(TINY), faces, tmp_path / "one", quiet=True)


def test_another_number_of_processes_than_torchrun_started_is_refused(faces, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(MienError, match=r"torchrun started 2 processes, but training.devices x .* is 1 x 1"):
        fit(Recipe.model_validate(TINY), faces, tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_file_instead_of_the_folder_is_refused(tmp_path, below):
    (tmp_path / "run").write_text("")
    with pytest.raises(MienError, match=r"/run is a file; name a folder with --out"):
        check_folder(tmp_path / "run" / below, resume=False)


def test_interrupted_training_says_how_to_continue(faces, tmp_path):
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
        measure_input(
            Faces(torch.zeros(4, 1, 48, 48, dtype=torch.uint8), torch.zeros(4, 7)), Recipe.model_validate(TINY)
        )


@pytest.mark.parametrize(("colour", "channels", "is_grey"), [(0, 3, True), (1, 3, False), (0, 1, False)])
def test_a_network_of_three_channels_notes_that_no_image_has_colour(colour, channels, is_grey):
    recipe = Recipe.model_validate(TINY | {"network": TINY["network"] | {"channels": channels}})
    images = torch.arange(48, dtype=torch.uint8).expand(4, channels, 48, 48).clone()
    images[3, -1, 7, 7] += colour
    assert measure_input(Faces(images, torch.zeros(4, 7)), recipe).is_grey is is_grey


def test_missing_colour_is_in_record_and_card(faces, tmp_path):
    network = TINY["network"] | {"channels": 3, "input_size": 16}
    recipe = Recipe.model_validate(TINY | {"network": network, "schedule": {"epochs": 1}})
    grey = dataclasses.replace(faces, images=np.repeat(faces.images[..., None], 3, axis=3))
    run = fit(recipe, grey, tmp_path, quiet=True)
    assert run.record.is_grey
    assert run_card(run).input.is_grey


def test_folder_without_a_run(tmp_path):
    with pytest.raises(MienError, match="holds no run"):
        load_run(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_compiled_network_trains_as_the_plain_one(faces, tmp_path):
    losses = []
    for use_compile in (False, True):
        settings = TINY["training"] | {"use_compile": use_compile}
        recipe = Recipe.model_validate(TINY | {"training": settings, "schedule": {"epochs": 1}})
        run = fit(recipe, faces, tmp_path / str(use_compile), quiet=True)
        losses.append(run.record.curves[0]["train_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
