"""Training speed: whole steps of several recipes in turns, compared with the hardware's peak."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from mien.core.errors import MienError
from mien.core.expressions import FER2013_LABELS
from mien.data.dataset import FaceDataset
from mien.models.complexity import count_macs
from mien.recipes import Recipe
from mien.recipes.record import RunRecord
from mien.recipes.schema import ScheduleSettings
from mien.training.batches import FaceBatches, load_data
from mien.training.faces import Faces, class_counts, make_faces, measure_input
from mien.training.hardware import describe_hardware, precision_here
from mien.training.run import create_network
from mien.training.task import Task
from mien.training.trainer import create_trainer

TURNS = 2
# Untimed first steps of a turn. The very first ones compile, choose kernels and fill the caches.
FIRST_WARMUP, WARMUP = 5, 2
MAX_STEPS = 100_000
# Bytes of random images kept in memory; a longer benchmark uses them repeatedly.
MAX_BYTES = 2**30
ACCURACIES = (0.65, 0.68, 0.70)
PEAK_SECONDS = 0.5
DTYPES = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def measure_throughput(recipes: Sequence[Recipe], steps: int = 50, data: Path | None = None) -> dict[str, Any]:
    """Time whole training steps: sampling, augmentation, both passes, optimizer, moving average.

    The recipes take turns, so that a slow moment of the machine affects all of them. The clock starts after the
    warm-up and waits for the accelerator at both ends.

    Args:
        recipes: One or more.
        steps: Timed steps of each, 2 to 100,000.
        data: Folder of the data sets; None: random pixels.

    Returns:
        A JSON-ready record: `hardware`, `steps`, `data` and `recipes`, see `_Probe.result`.

    Raises:
        MienError: `steps` is out of range, or a recipe cannot be run.
    """
    if not TURNS <= steps <= MAX_STEPS:
        raise MienError(f"{steps} steps were given; expected {TURNS} to {MAX_STEPS:,}.")
    threads = torch.get_num_threads()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers and logging
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        probes = [_Probe(recipe, steps, data) for recipe in recipes]
        peaks: dict[tuple[str, int], float] = {}
        for turn in range(TURNS):
            for probe in probes:
                torch.set_num_threads(probe.key[1] or threads)
                probe.take_turn(steps * (turn + 1) // TURNS - steps * turn // TURNS)
            for key in {probe.key for probe in probes}:
                torch.set_num_threads(key[1] or threads)
                peaks[key] = max(peaks.get(key, 0.0), measure_peak(device, DTYPES[key[0]]))
    torch.set_num_threads(threads)
    return {
        "hardware": describe_hardware(),
        "steps": steps,
        "data": "random pixels" if data is None else "the recipes' own",
        "recipes": [probe.result(probes[0].images_per_second, peaks[probe.key]) for probe in probes],
    }


class _Probe:
    """One recipe, ready to train a few steps at a time."""

    def __init__(self, recipe: Recipe, steps: int, data: Path | None) -> None:
        # the rate does not change the cost of a step, and a plateau schedule needs a validation loss
        schedule = ScheduleSettings(name="constant", warmup_epochs=0)
        self.recipe = recipe.model_copy(update={"schedule": schedule})
        L.seed_everything(recipe.training.seed, verbose=False)
        dataset = random_faces(recipe, steps) if data is None else load_data(recipe, data)
        faces = dataset.split(recipe.data.train_split)
        train = make_faces(faces.subset(np.arange(min(len(faces), images_needed(recipe, steps)))), recipe)
        labels = dataset.label_set.names
        network = create_network(recipe, len(labels))
        self.macs = count_macs(network, recipe.network.input_size, recipe.network.channels)
        self.task = Task(network, self.recipe, measure_input(train, recipe), labels, class_counts(train, recipe))
        self.task.compile_outputs()
        self.batches = FaceBatches(train, Faces(*train.__getitems__([0])), self.recipe)
        # precision and threads, on which the hardware's peak depends
        self.key = precision_here(recipe.training), recipe.training.threads
        self.steps, self.seconds = 0, 0.0

    def take_turn(self, steps: int) -> None:
        """Train so many more steps and add their time."""
        watch = _Stopwatch(WARMUP if self.steps else FIRST_WARMUP)
        # one process, whatever the recipe is trained with
        settings = self.recipe.training.model_copy(update={"devices": 1, "nodes": 1})
        trainer = create_trainer(settings, [watch], steps=watch.warmup + steps)
        trainer.fit(self.task, datamodule=self.batches)
        self.seconds += watch.seconds
        self.steps += steps

    @property
    def images_per_second(self) -> float:
        """Images of the data set through the whole step, the mean over all turns so far."""
        return self.steps * self.recipe.training.batch_size / self.seconds

    def result(self, first: float, peak: float) -> dict[str, Any]:
        """Return the measurement, JSON-ready.

        Args:
            first: Images per second of the first recipe; `ratio` compares with it.
            peak: Floating-point operations per second, see `measure_peak`; `share_of_peak` compares with it.

        Returns:
            `flops_per_image` are 3 forward passes of 2 per multiply-accumulate of convolutions and linear layers, made
            non-faces included; twice that with sharpness-aware minimisation. Teachers are not counted.
        """
        recipe, size = self.recipe, self.recipe.network.input_size
        passes = 2 if recipe.optimizer.sam_rho else 1
        flops = 3 * 2 * self.macs * passes * (1 + recipe.data.not_a_face_share)
        return {
            "recipe": recipe.name,
            "input": (recipe.network.channels, size, size),
            "batch_size": recipe.training.batch_size,
            "precision": self.key[0],
            "images_per_second": round(self.images_per_second, 1),
            "ratio": round(self.images_per_second / first, 3),
            "flops_per_image": flops,
            "peak_flops": peak,
            "share_of_peak": round(self.images_per_second * flops / peak, 4),
        }


class _Stopwatch(Callback):
    """Times the steps after the first `warmup`; the accelerator is idle at both ends."""

    def __init__(self, warmup: int) -> None:
        self.warmup, self.start, self.seconds = warmup, 0.0, 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read the clock where the timed steps start and end."""
        if trainer.global_step == self.warmup:
            _wait_for(pl_module.device)
            self.start = time.perf_counter()
        elif trainer.global_step == trainer.max_steps:
            _wait_for(pl_module.device)
            self.seconds = time.perf_counter() - self.start


def images_needed(recipe: Recipe, steps: int) -> int:
    """Return how many images so many steps use, or as many as fit into `MAX_BYTES`."""
    batch = recipe.training.batch_size
    fitting = MAX_BYTES // (recipe.network.channels * recipe.network.input_size**2)
    return max(batch, min(batch * (steps + FIRST_WARMUP + WARMUP), fitting))


def random_faces(recipe: Recipe, steps: int) -> FaceDataset:
    """Return `images_needed` images of random pixels at a recipe's input size, with FER2013's labels."""
    size, channels = recipe.network.input_size, recipe.network.channels
    count = images_needed(recipe, steps)
    generator = np.random.default_rng(0)
    shape = (count, size, size) if channels == 1 else (count, size, size, channels)
    classes = len(FER2013_LABELS)
    return FaceDataset(
        name="random",
        images=generator.integers(0, 256, shape, dtype=np.uint8),
        labels=np.arange(count, dtype=np.int64) % classes,
        splits=np.full(count, recipe.data.train_split),
        label_set=FER2013_LABELS,
        votes=np.full((count, classes), 1 / classes, dtype=np.float32),
    )


def measure_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Return the floating-point operations per second of the fastest of three matrix products and a convolution.

    Square products of sides 1024, 2048 and 4096 on a processor, 4096, 8192 and 16384 on an accelerator; 32 bits there
    are TF32 if its convolutions may use that. The convolution is 3 x 3 with 256 channels: on some processors it comes
    from another library and is faster. Each is repeated for half a second after a warm-up.
    """
    is_accelerator = device.type != "cpu"
    before = torch.get_float32_matmul_precision()
    if is_accelerator and torch.backends.cudnn.allow_tf32:
        torch.set_float32_matmul_precision("high")
    best = 0.0
    for side in (4096, 8192, 16384) if is_accelerator else (1024, 2048, 4096):
        left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
        best = max(best, 2 * side**3 * _runs_per_second(partial(torch.mm, left, right), device))
    maps = torch.randn(256 if is_accelerator else 16, 256, 32, 32, device=device).to(dtype)
    kernels = torch.randn(256, 256, 3, 3, device=device).to(dtype)
    last = torch.channels_last
    convolve = partial(F.conv2d, maps.to(memory_format=last), kernels.to(memory_format=last), padding=1)
    best = max(best, 2 * maps.numel() * kernels[0].numel() * _runs_per_second(convolve, device))
    torch.set_float32_matmul_precision(before)
    return best


def _runs_per_second(work: Callable[[], Tensor], device: torch.device) -> float:
    work()
    _wait_for(device)
    start, done = time.perf_counter(), 0
    while (seconds := time.perf_counter() - start) < PEAK_SECONDS:
        work()
        _wait_for(device)
        done += 1
    return done / seconds


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def read_times(path: Path) -> dict[str, Any]:
    """Return after how many minutes a run first reached 65, 68 and 70 % validation accuracy, from its record.

    Returns:
        `name`, `hardware`, `split`, `best` (accuracy) and `minutes`: by accuracy, the training minutes until the end of
        the first epoch that reached it, or None.

    Raises:
        MienError: The file cannot be read or is not a run record.
    """
    try:
        record = RunRecord.load(path)
        curve = [(point["validation_accuracy"], point["minutes"]) for point in record.curves]
        split = record.recipe["data"]["validation_split"]
    except (OSError, KeyError, TypeError) as error:
        raise MienError(f"{path} is not a run record ({type(error).__name__}: {error}).") from None
    return {
        "name": record.name,
        "hardware": record.hardware,
        "split": split,
        "best": max((accuracy for accuracy, _ in curve), default=None),
        "minutes": {
            str(wanted): next((minutes for accuracy, minutes in curve if accuracy >= wanted), None)
            for wanted in ACCURACIES
        },
    }
