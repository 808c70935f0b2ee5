"""The training benchmark: what is timed, what is counted, and when a recorded run reached an accuracy."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_recipe import tiny_recipe

import mien
from mien.core.errors import MienError
from mien.training import throughput
from mien.training.task import Task
from mien.training.throughput import images_needed, measure_peak, measure_throughput, random_faces, read_times


def tiny(name="tiny", *, training=None, **groups):
    training = {"batch_size": 8, "ema_decay": 0.9} | (training or {})
    return tiny_recipe(name=name, augmentation={"rotation": 5}, training=training, **groups)


@pytest.fixture
def peak(monkeypatch):
    monkeypatch.setattr(throughput, "measure_peak", lambda device, dtype: 1e9)


def test_record_of_two_recipes(peak, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    slow = tiny(
        "slow", network={"input_size": 32}, training={"precision": "bf16-mixed"}, data={"not_a_face_share": 0.5}
    )
    record = measure_throughput([tiny(), slow], steps=5)
    first, second = record["recipes"]
    assert (record["steps"], record["data"]) == (5, "random pixels")
    assert record["hardware"]["accelerator"]
    assert [first["ratio"], first["input"], first["batch_size"]] == [1, (1, 16, 16), 8]
    assert second["ratio"] == pytest.approx(second["images_per_second"] / first["images_per_second"], rel=0.01)
    assert first["share_of_peak"] == pytest.approx(
        first["images_per_second"] * first["flops_per_image"] / 1e9, rel=0.01, abs=1e-4
    )
    json.dumps(record)
    assert not list(tmp_path.iterdir())


def test_recipes_take_turns_of_untimed_and_timed_steps(peak, monkeypatch):
    calls = []
    step = Task.training_step

    def watched_step(task, batch, batch_idx):
        calls.append(task.recipe.name)
        return step(task, batch, batch_idx)

    monkeypatch.setattr(Task, "training_step", watched_step)
    measure_throughput([tiny("a"), tiny("b")], steps=5)
    turns = [throughput.FIRST_WARMUP + 2, throughput.WARMUP + 3]
    assert calls == [name for count in turns for name in "ab" for _ in range(count)]


def test_flops_are_three_forward_passes_of_two_a_multiply_accumulate(peak):
    from mien.models.complexity import count_macs
    from mien.training.run import create_network

    macs = count_macs(create_network(tiny(), 7), 16, 1)
    plain, sharpness, not_faces = measure_throughput(
        [tiny(), tiny(optimizer={"sam_rho": 0.05}), tiny(data={"not_a_face_share": 0.5})], steps=2
    )["recipes"]
    assert plain["flops_per_image"] == 6 * macs
    assert sharpness["flops_per_image"] == 12 * macs
    assert not_faces["flops_per_image"] == pytest.approx(9 * macs, rel=0.001)


def test_schedules_that_look_at_a_validation_loss_are_timed_too(peak):
    plateau = tiny(schedule={"name": "plateau", "warmup_epochs": 0})
    assert measure_throughput([plateau], steps=2)["recipes"][0]["images_per_second"] > 0


def test_images_go_round_when_memory_is_short(peak, monkeypatch):
    monkeypatch.setattr(throughput, "MAX_BYTES", 9 * 16 * 16)
    assert images_needed(tiny(), 10) == 9
    assert measure_throughput([tiny()], steps=4)["recipes"][0]["images_per_second"] > 0
    monkeypatch.setattr(throughput, "MAX_BYTES", 1)
    assert images_needed(tiny(), 10) == 8


def test_real_data(peak, tmp_path):
    record = measure_throughput([tiny()], steps=2, data=tmp_path)
    assert record["data"] == "the recipes' own"


@pytest.mark.parametrize(("channels", "shape"), [(1, (16, 16)), (3, (16, 16, 3))])
def test_random_faces_suit_the_recipe(channels, shape):
    recipe = tiny(network={"channels": channels}, data={"train_split": "validation"})
    faces = random_faces(recipe, 3)
    assert faces.images.shape[1:] == shape
    assert len(faces) == images_needed(recipe, 3)
    assert faces.split("validation").votes is not None
    assert np.array_equal(faces.images, random_faces(recipe, 3).images)


def test_threads_are_given_back(peak):
    before = torch.get_num_threads()
    measure_throughput([tiny(training={"threads": 1 if before > 1 else 2})], steps=2)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("steps", [1, 0, 10**6])
def test_steps_out_of_range(steps):
    with pytest.raises(MienError, match="expected 2 to 100,000"):
        measure_throughput([tiny()], steps=steps)


def test_peak_is_what_products_reach(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(throughput, "PEAK_SECONDS", 2.5)
    monkeypatch.setattr(throughput.torch, "mm", lambda left, right: None)
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(clock))
    # each look at the clock is a second later: two products are done when the third second is up
    assert measure_peak(torch.device("cpu"), torch.float32) == pytest.approx(2 * 4096**3 * 2 / 3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_peak_of_an_accelerator_is_above_a_processors():
    assert measure_peak(torch.device("cuda"), torch.bfloat16) > 1e12


class TestTimes:
    def test_of_the_shipped_run(self):
        times = read_times(Path(mien.__file__).parent / "assets" / "default.json")
        assert list(times["minutes"]) == ["0.65", "0.68", "0.7"]
        assert 0 < times["minutes"]["0.65"] < times["minutes"]["0.68"]
        assert times["split"] == "validation"

    def test_first_epoch_counts(self, tmp_path):
        record = json.loads((Path(mien.__file__).parent / "assets" / "default.json").read_text())
        record["curves"] = [
            {"validation_accuracy": accuracy, "minutes": minutes}
            for accuracy, minutes in ((0.6, 1), (0.65, 2), (0.69, 3), (0.66, 4))
        ]
        (tmp_path / "record.json").write_text(json.dumps(record))
        times = read_times(tmp_path / "record.json")
        assert times["minutes"] == {"0.65": 2, "0.68": 3, "0.7": None}
        assert times["best"] == 0.69
        record["curves"] = []
        (tmp_path / "record.json").write_text(json.dumps(record))
        assert read_times(tmp_path / "record.json")["best"] is None

    @pytest.mark.parametrize("text", [None, "{", "[]", '{"x": 1}'])
    def test_no_record(self, tmp_path, text):
        if text is not None:
            (tmp_path / "record.json").write_text(text)
        with pytest.raises(MienError, match="is not a run record"):
            read_times(tmp_path / "record.json")
