"""Training speed: whole steps of several recipes in turns, and their share of the hardware's peak."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from mien.core.errors import MienError
from mien.core.expressions import FER2013_LABELS
from mien.data.dataset import FaceDataset
from mien.models.complexity import count_macs
from mien.recipes import Recipe
from mien.training.batches import FaceBatches
from mien.training.faces import Faces, class_counts, make_faces, measure_input
from mien.training.hardware import describe_hardware, precision_here
from mien.training.loading import load_data
from mien.training.run import create_network
from mien.training.task import Task
from mien.training.trainer import create_trainer, without_advice

# Untimed steps compile, choose kernels and fill the caches.
TURNS, UNTIMED_STEPS = 2, 5
# Of random images; a longer benchmark uses them repeatedly.
MAX_BATCHES = 32
PEAK_SECONDS = 0.5
DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def measure_throughput(recipes: Sequence[Recipe], steps: int = 50, data: Path | None = None) -> dict[str, Any]:
    """Time whole training steps: sampling, augmentation, both passes, optimizer, moving average.

    The recipes take turns, so that a slow moment of the machine affects all of them.

    Args:
        recipes: One or more; each trains in one process.
        steps: Timed steps of each.
        data: Folder of the data sets; None: random pixels.

    Returns:
        A JSON-ready record: `hardware`, `steps`, `data` and `recipes`. Of each recipe, `ratio` compares its images per
        second with the first's. `flops_per_image` are 3 forward passes of 2 per multiply-accumulate of convolutions
        and linear layers, synthetic non-faces included; twice that with `sam_rho`. Teachers are not counted.
        `share_of_peak` compares with `measure_peak`.

    Raises:
        MienError: A recipe trains on stored views.
    """
    if any(recipe.distillation.reinforced for recipe in recipes):
        raise MienError("Stored views cannot be timed on other images; leave out distillation.reinforced.")
    threads = torch.get_num_threads()
    with without_advice():
        probes = [_Probe(recipe, steps, data) for recipe in recipes]
        for turn in range(TURNS):
            for probe in probes:
                torch.set_num_threads(probe.recipe.training.threads or threads)
                probe.take_turn(steps * (turn + 1) // TURNS - steps * turn // TURNS)
    torch.set_num_threads(threads)
    rows = [probe.result() for probe in probes]
    return {
        "hardware": describe_hardware(),
        "steps": steps,
        "data": "random pixels" if data is None else "the recipes' own",
        "recipes": [row | {"ratio": round(row["images_per_second"] / rows[0]["images_per_second"], 3)} for row in rows],
    }


class _Probe:
    """One recipe, ready to train a few steps at a time."""

    def __init__(self, recipe: Recipe, steps: int, data: Path | None) -> None:
        one_process = recipe.training.model_copy(update={"devices": 1, "nodes": 1})
        self.recipe = recipe = recipe.model_copy(update={"training": one_process})
        self.precision = precision_here(one_process)
        self.steps, self.seconds, self.peak = 0, 0.0, 0.0
        L.seed_everything(one_process.seed, verbose=False)
        dataset = random_faces(recipe, steps) if data is None else load_data(recipe, data)
        train = make_faces(dataset.split(recipe.data.train_split), recipe)
        network = create_network(recipe, len(dataset.label_set))
        self.macs = count_macs(network, recipe.network.input_size, recipe.network.channels)
        spec, counts = measure_input(train, recipe), class_counts(train, recipe)
        self.task = Task(network, recipe, spec, dataset.label_set.names, counts)
        self.batches = FaceBatches(train, Faces(*train.__getitems__([0])), recipe)

    def take_turn(self, steps: int) -> None:
        """Train this many more steps, add their time, and measure the peak memory."""
        watch = _Stopwatch()
        trainer = create_trainer(self.recipe.training, [watch], steps=UNTIMED_STEPS + steps)
        trainer.fit(self.task, datamodule=self.batches)
        self.seconds += watch.seconds
        self.steps += steps
        self.peak = max(self.peak, measure_peak(DTYPES[self.precision]))

    def result(self) -> dict[str, Any]:
        """Return the measurement, JSON-ready."""
        recipe, size = self.recipe, self.recipe.network.input_size
        speed = self.steps * recipe.training.batch_size / self.seconds
        passes = 2 if recipe.optimizer.sam_rho else 1
        flops = 3 * 2 * self.macs * passes * (1 + recipe.data.not_a_face_share)
        return {
            "recipe": recipe.name,
            "input": (recipe.network.channels, size, size),
            "batch_size": recipe.training.batch_size,
            "precision": self.precision,
            "images_per_second": round(speed, 1),
            "flops_per_image": flops,
            "peak_flops": self.peak,
            "share_of_peak": round(speed * flops / self.peak, 4),
        }


class _Stopwatch(Callback):
    """Times the steps after the untimed ones; the accelerator is idle at both ends."""

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        """Read the clock where the timed steps start and end."""
        if trainer.global_step == UNTIMED_STEPS:
            self.start = _clock()
        elif trainer.global_step == trainer.max_steps:
            self.seconds = _clock() - self.start


def random_faces(recipe: Recipe, steps: int) -> FaceDataset:
    """Return random pixels at a recipe's input size, enough for `steps` or `MAX_BATCHES`, with FER2013's labels."""
    size, channels = recipe.network.input_size, recipe.network.channels
    count = recipe.training.batch_size * min(steps + UNTIMED_STEPS, MAX_BATCHES)
    shape = (count, size, size) if channels == 1 else (count, size, size, channels)
    classes = len(FER2013_LABELS)
    return FaceDataset(
        name="random",
        images=np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8),
        labels=np.arange(count, dtype=np.int64) % classes,
        splits=np.full(count, recipe.data.train_split),
        label_set=FER2013_LABELS,
        votes=np.full((count, classes), 1 / classes, dtype=np.float32),
    )


def measure_peak(dtype: torch.dtype) -> float:
    """Return the floating-point operations per second of a large matrix product, repeated for half a second.

    Its side is 2048 on a processor, 8192 on an accelerator, where 32 bits are TF32, as in convolutions.
    """
    is_accelerator = torch.cuda.is_available()
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if is_accelerator else before)
    side = 8192 if is_accelerator else 2048
    left, right = torch.randn(2, side, side, device="cuda" if is_accelerator else "cpu").to(dtype)
    torch.mm(left, right)
    start, done = _clock(), 0
    while (seconds := _clock() - start) < PEAK_SECONDS:
        torch.mm(left, right)
        done += 1
    torch.set_float32_matmul_precision(before)
    return float(2 * side**3 * done / seconds)


def _clock() -> float:
    """Return the time in seconds, once the accelerator has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
