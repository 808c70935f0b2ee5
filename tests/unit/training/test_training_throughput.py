"""The training benchmark: what is timed and what is counted."""

import json

import numpy as np
import pytest
import torch
from tiny_recipe import tiny_recipe

from mien.models.complexity import count_macs
from mien.training import throughput
from mien.training.run import create_network
from mien.training.task import Task
from mien.training.throughput import measure_peak, measure_throughput, random_faces


def tiny(name="tiny", *, training=None, **groups):
    training = {"batch_size": 8, "ema_decay": 0.9} | (training or {})
    return tiny_recipe(name=name, augmentation={"rotation": 5}, training=training, **groups)


@pytest.fixture
def peak(monkeypatch):
    monkeypatch.setattr(throughput, "measure_peak", lambda dtype: 1e9)


def test_recipes_take_turns_of_untimed_and_timed_steps(peak, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    calls = []
    step = Task.training_step

    def watched_step(task, batch, batch_idx):
        calls.append(task.recipe.name)
        return step(task, batch, batch_idx)

    monkeypatch.setattr(Task, "training_step", watched_step)
    threads = torch.get_num_threads()
    plateau = {"name": "plateau", "warmup_epochs": 0}
    recipes = tiny("a"), tiny("b", schedule=plateau, training={"devices": 2, "precision": "bf16-mixed"})
    record = measure_throughput(recipes, steps=5)
    assert calls == [name for count in (7, 8) for name in "ab" for _ in range(count)]
    first, second = record["recipes"]
    assert (record["steps"], record["data"]) == (5, "random pixels")
    assert record["hardware"]["accelerator"]
    assert [first["ratio"], first["input"], first["batch_size"]] == [1, (1, 16, 16), 8]
    assert second["ratio"] == pytest.approx(second["images_per_second"] / first["images_per_second"], rel=0.01)
    share = first["images_per_second"] * first["flops_per_image"] / 1e9
    assert first["share_of_peak"] == pytest.approx(share, rel=0.01, abs=1e-4)
    json.dumps(record)
    assert not list(tmp_path.iterdir())
    assert torch.get_num_threads() == threads


def test_flops_are_three_forward_passes_of_two_per_multiply_accumulate(peak):
    macs = count_macs(create_network(tiny(), 7), 16, 1)
    recipes = [tiny(), tiny(optimizer={"sam_rho": 0.05}), tiny(data={"not_a_face_share": 0.5})]
    flops = [row["flops_per_image"] for row in measure_throughput(recipes, steps=2)["recipes"]]
    assert flops == pytest.approx([6 * macs, 12 * macs, 9 * macs], rel=0.001)


def test_real_data(peak, tmp_path):
    assert measure_throughput([tiny()], steps=2, data=tmp_path)["data"] == "the recipes' own"


@pytest.mark.parametrize(("channels", "shape"), [(1, (16, 16)), (3, (16, 16, 3))])
def test_random_faces_suit_the_recipe(channels, shape, monkeypatch):
    recipe = tiny(network={"channels": channels}, data={"train_split": "validation"})
    faces = random_faces(recipe, 3)
    assert faces.images.shape == (8 * 8, *shape)
    assert faces.split("validation").votes is not None
    assert np.array_equal(faces.images, random_faces(recipe, 3).images)
    assert len(random_faces(recipe, 1000)) == 8 * throughput.MAX_BATCHES


def test_peak_is_what_products_reach(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(throughput, "PEAK_SECONDS", 2.5)
    monkeypatch.setattr(throughput, "_clock", lambda: next(clock))
    monkeypatch.setattr(torch, "mm", lambda left, right: None)
    side = 8192 if torch.cuda.is_available() else 2048
    # each look at the clock is a second later: two products are done when the third second is up
    assert measure_peak(torch.float32) == pytest.approx(2 * side**3 * 2 / 3)
