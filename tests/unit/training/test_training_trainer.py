"""The trainer has the recipe's settings, for training and for timing alike; and what only an accelerator does."""

import warnings
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from tiny_recipe import tiny_recipe

from mien.core.card import InputSpec
from mien.core.errors import MienError
from mien.core.expressions import FER2013_LABELS
from mien.data.registry import load
from mien.training import throughput
from mien.training import trainer as module
from mien.training.batches import FaceBatches
from mien.training.faces import make_faces
from mien.training.fit import fit
from mien.training.run import create_network
from mien.training.task import Task
from mien.training.throughput import measure_throughput
from mien.training.trainer import create_trainer

needs_accelerator = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator"),
]


def tiny(*, optimizer=None, training=None, **groups):
    optimizer = {"options": {"momentum": 0.9}} | (optimizer or {})
    training = {"ema_decay": 0.9} | (training or {})
    return tiny_recipe(optimizer=optimizer, training=training, **groups)


def task(recipe, device="cpu"):
    made = Task(create_network(recipe, 7), recipe, InputSpec(16, 1), FER2013_LABELS.names, torch.ones(7))
    strategy = SimpleNamespace(root_device=torch.device(device))
    made.trainer = SimpleNamespace(strategy=strategy, estimated_stepping_batches=10)
    return made


def test_training_and_timing_take_their_settings_from_one_place(tmp_path, monkeypatch):
    made = []
    create = L.Trainer

    def watched(**settings):
        made.append(settings)
        return create(**settings)

    monkeypatch.setattr(module.L, "Trainer", watched)
    monkeypatch.setattr(throughput, "measure_peak", lambda dtype: 1e9)
    faces = load("synthetic", None)
    fit(tiny(), faces, tmp_path / "run", quiet=True)
    measure_throughput([tiny(training={"devices": 2})], steps=2)
    training, timing = made[0], made[1]
    of_the_use = {
        "max_epochs",
        "max_steps",
        "logger",
        "callbacks",
        "limit_val_batches",
        "enable_checkpointing",
        "plugins",
    }
    for settings in (training, timing):
        assert isinstance(settings["callbacks"][0], WeightAveraging)
        assert settings["devices"] == 1
    assert {key: training[key] for key in training.keys() - of_the_use} == {
        key: timing[key] for key in timing.keys() - of_the_use
    }
    assert (training["enable_checkpointing"], timing["enable_checkpointing"]) == (True, False)
    assert (training["limit_val_batches"], timing["limit_val_batches"]) == (1.0, 0)


def test_more_devices_than_there_are_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(MienError, match=r"training\.devices is 2; this machine has 1 accelerator"):
        create_trainer(tiny(training={"devices": 2}).training, [], steps=1)


def test_pixel_positions_are_exact_when_networks_compute_in_16_bits():
    faces, targets = torch.randint(0, 256, (4, 1, 64, 64), dtype=torch.uint8), torch.eye(7)[:4]
    made = task(tiny(augmentation={"rotation": 30, "scale": 0.2}))

    def prepared():
        torch.manual_seed(0)
        return made._prepare(faces, targets)[0]

    plain = prepared()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(prepared(), plain)


def test_maps_are_channels_last_unless_onednn_would_overrun_its_buffers():
    assert task(tiny(network={"name": "despam", "options": {}})).memory_format == torch.channels_last
    assert task(tiny(network={"options": {"width": 16}})).memory_format == torch.channels_last
    assert task(tiny(network={"options": {"width": 8}})).memory_format == torch.contiguous_format


class Devices(Callback):
    """Notes where the network and its moving average are."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        (average,) = [callback for callback in trainer.callbacks if isinstance(callback, WeightAveraging)]
        self.seen = {weight.device.type for weight in (*pl_module.parameters(), *average._average_model.parameters())}


def train_watched(callback):
    """Train three steps, with a moving average of 0.9."""
    faces = load("synthetic", None).split("train")
    batches = FaceBatches(*2 * [make_faces(faces, tiny())], tiny())
    made = task(tiny())
    trainer = create_trainer(tiny().training, [callback], steps=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice
        trainer.fit(made, datamodule=batches)
    return trainer


class Average(Callback):
    """Calculates the moving average of one weight and one buffer by its definition."""

    def __init__(self):
        self.expected = None

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        network = pl_module.network
        now = [network.fc.weight.detach().clone(), network.bn1.running_mean.clone()]
        before = self.expected or now
        self.expected = [0.9 * old + 0.1 * new for old, new in zip(before, now, strict=True)]


def test_the_moving_average_follows_its_definition_and_becomes_the_network():
    watch = Average()
    network = train_watched(watch).lightning_module.network
    assert torch.allclose(network.fc.weight, watch.expected[0], atol=1e-6)
    assert torch.allclose(network.bn1.running_mean, watch.expected[1], atol=1e-6)


def test_nothing_is_shown_or_written_by_default():
    trainer = create_trainer(tiny().training, [], steps=1)
    assert trainer.logger is None
    assert not trainer.checkpoint_callbacks
    assert trainer.progress_bar_callback is None


class TestFusedOptimizers:
    def chosen(self, recipe, monkeypatch, device="cuda"):
        given = {}
        create = torch.optim.SGD

        def watched(name, parameters, *, lr, weight_decay, options):
            given.update(options)
            return create(parameters, lr=lr)

        monkeypatch.setattr("mien.training.task.create_optimizer", watched)
        task(recipe, device).configure_optimizers()
        return given

    @pytest.mark.parametrize(
        ("name", "fused"), [("sgd", True), ("adam", True), ("adamw", True), ("adamax", None), ("adabob", None)]
    )
    def test_on_cuda_where_torch_has_them(self, name, fused, monkeypatch):
        assert self.chosen(tiny(optimizer={"name": name, "options": {}}), monkeypatch).get("fused") is fused

    def test_nowhere_else(self, monkeypatch):
        assert self.chosen(tiny(), monkeypatch, device="cpu") == {"momentum": 0.9}

    def test_a_recipe_decides_for_itself(self, monkeypatch):
        for option in ("fused", "foreach"):
            recipe = tiny(optimizer={"options": {option: False}})
            assert self.chosen(recipe, monkeypatch) == {option: False}

    def test_the_options_of_the_recipe_are_left_as_they_are(self, monkeypatch):
        recipe = tiny()
        self.chosen(recipe, monkeypatch)
        assert recipe.optimizer.options == {"momentum": 0.9}


class TestOnAnAccelerator:
    pytestmark = needs_accelerator

    @pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
    def test_fused_steps_are_the_plain_ones(self, name):
        weights = []
        for fused in (False, True):
            torch.manual_seed(0)
            recipe = tiny(optimizer={"name": name, "options": {"fused": fused}})
            made = task(recipe, "cuda").cuda()
            optimizer = made.configure_optimizers()["optimizer"]
            assert bool(optimizer.defaults["fused"]) == fused
            for _ in range(3):
                optimizer.zero_grad()
                made.network(torch.ones(4, 1, 16, 16, device="cuda")).square().mean().backward()
                optimizer.step()
            weights.append(made.network.state_dict())
        for key in weights[0]:
            assert torch.allclose(weights[0][key].float(), weights[1][key].float(), atol=1e-4), key

    def test_the_moving_average_is_on_the_networks_device(self):
        watch = Devices()
        train_watched(watch)
        assert watch.seen == {"cuda"}

    def test_a_step_does_not_wait_for_the_device(self):
        """Whatever waits for the device is an error here: augmentation, both passes, the step and the average."""
        changes = {"rotation": 10, "scale": 0.1, "translate": 0.1, "brightness": 0.2, "contrast": 0.2, "noise": 0.1,
                   "erasing": 0.5, "mixup": 0.2}  # fmt: skip
        recipe = tiny(augmentation=changes, data={"dataset": "synthetic", "not_a_face_share": 0.25},
                      training={"precision": "bf16-mixed"})  # fmt: skip

        class Forbid(Callback):
            def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
                torch.cuda.set_sync_debug_mode("error" if trainer.global_step < 6 else "default")

        faces = load("synthetic", None).split("train")
        made = Task(create_network(recipe, 7), recipe, InputSpec(16, 1), FER2013_LABELS.names, torch.ones(8))
        trainer = create_trainer(recipe.training, [Forbid()], steps=8)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trainer.fit(made, datamodule=FaceBatches(*2 * [make_faces(faces, recipe)], recipe))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert trainer.global_step == 8

    def test_compiled_channels_last_step_in_bf16(self, tmp_path):
        faces = load("synthetic", None)
        recipe = tiny(
            network={"options": {"width": 16, "stem": "small"}},
            training={"precision": "bf16-mixed", "use_compile": True},
        )
        assert task(recipe, "cuda").memory_format == torch.channels_last
        record = fit(recipe, faces, tmp_path / "run", quiet=True).record
        assert record.finished
        assert record.curves[0]["train_loss"] < 3
