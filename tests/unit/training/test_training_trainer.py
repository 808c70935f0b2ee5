"""The trainer, the moving average of the weights, and what only an accelerator does."""

import math
import warnings
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Callback, WeightAveraging
from tiny_recipe import tiny_recipe

from mien.core.card import InputSpec
from mien.core.errors import MienError
from mien.core.expressions import FER2013_LABELS
from mien.data.registry import load
from mien.training.batches import FaceBatches
from mien.training.faces import make_faces
from mien.training.fit import fit
from mien.training.run import create_network
from mien.training.task import Task
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


def train_watched(callback, **training):
    """Train three steps, with a moving average of 0.9."""
    faces = load("synthetic", None).split("train")
    batches = FaceBatches(*2 * [make_faces(faces, tiny())], tiny())
    made = task(tiny())
    trainer = create_trainer(tiny(training=training).training, [callback], steps=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice
        trainer.fit(made, datamodule=batches)
    return trainer


class Average(Callback):
    """Calculates the moving average of one weight and one buffer by its definition."""

    def __init__(self, ramp_steps=0):
        self.expected = None
        self.ramp_steps = ramp_steps

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        network = pl_module.network
        now = [network.fc.weight.detach().clone(), network.bn1.running_mean.clone()]
        before = self.expected or now
        decay = 0.9 * (1 - math.exp(-trainer.global_step / self.ramp_steps)) if self.ramp_steps else 0.9
        self.expected = [decay * old + (1 - decay) * new for old, new in zip(before, now, strict=True)]


@pytest.mark.parametrize("ramp_steps", [0, 2])
def test_the_moving_average_follows_its_definition_and_becomes_the_network(ramp_steps):
    watch = Average(ramp_steps)
    network = train_watched(watch, ema_ramp_steps=ramp_steps).lightning_module.network
    assert torch.allclose(network.fc.weight, watch.expected[0], atol=1e-6)
    assert torch.allclose(network.bn1.running_mean, watch.expected[1], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "device", "fused"),
    [
        ("sgd", {}, "cuda", True),
        ("adamw", {}, "cuda", True),
        ("adabob", {}, "cuda", None),
        ("sgd", {}, "cpu", None),
        ("sgd", {"fused": False}, "cuda", False),
        ("sgd", {"foreach": True}, "cuda", None),
    ],
)
def test_steps_are_fused_on_cuda_where_torch_can_unless_the_recipe_decides(name, options, device, fused, monkeypatch):
    given = {}

    def watched(name, parameters, *, lr, weight_decay, options):
        given.update(options)
        return torch.optim.SGD(parameters, lr=lr)

    monkeypatch.setattr("mien.training.task.create_optimizer", watched)
    recipe = tiny(optimizer={"name": name, "options": options})
    task(recipe, device).configure_optimizers()
    assert given.get("fused") is fused
    assert recipe.optimizer.options == options


class TestOnAnAccelerator:
    pytestmark = needs_accelerator

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
