"""Measure what the papers' networks and their comparators cost: size, operations, one face, a training step, memory.

All networks take turns in one run, on one thread; times are processor times, which a busy machine hardly changes.
Weights are random: speed does not depend on them.

    python -m lab.benchmarks.efficiency --out results/efficiency.json
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lab.benchmarks.command import make_parser, write_record
from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.expressions import FER2013_LABELS
from mien.evaluation.latency import check_rounds, time_in_turns
from mien.evaluation.memory import measure_memory
from mien.export.onnx import make_onnx
from mien.inference.model import OnnxModel
from mien.models import registry
from mien.models.complexity import count_macs, count_parameters
from mien.models.network import Network
from mien.recipes import load_recipe
from mien.training.hardware import describe_hardware

# Images of one training step, and training images of FER2013, an epoch of which is estimated from steps.
BATCH, EPOCH_IMAGES = 4, 28_709
# The input for which YOLO's framework, and so SPAYOLO's Table 3, states operations.
YOLO_INPUT = 640
MEGABYTE = 1e6


@dataclass(frozen=True)
class Case:
    """A network to measure: a recipe and one of its ablations, or a network by name; and its input."""

    network: str
    size: int
    channels: int = 3
    recipe: str = ""
    ablation: str = ""


CASES = (
    Case("spayolo", 224, recipe="spayolo/fer2013"),
    Case("yolov8s_cls", 224, recipe="spayolo/fer2013", ablation="baseline"),
    Case("resemotenet", 224),
    Case("resemotenet", 64),
    Case("emonext_tiny", 224),
    Case("daf_mhsca", 224, recipe="daf_mhsca/fer2013"),
    Case("dan", 224),
    Case("ddamfn", 112),
    Case("sldcnn", 224, 1, recipe="sldcnn/fer2013"),
    Case("resnet18_cbam", 224),
    Case("efficientnet_b2", 224),
    Case("resnet18", 224, 1, recipe="hfc/fer2013", ablation="resnet18"),
    Case("resnet18_hfc", 224, 1, recipe="hfc/fer2013"),
    Case("resnet18_bam", 224, 1, recipe="hfc/fer2013", ablation="resnet18_bam"),
    Case("mobilenet_v2", 224, 1, recipe="hfc/fer2013", ablation="mobilenet_v2"),
    Case("mobilenet_v2_hfc", 224, 1, recipe="hfc/fer2013", ablation="mobilenet_v2_hfc"),
    Case("mobilenet_v2_bam", 224, 1, recipe="hfc/fer2013", ablation="mobilenet_v2_bam"),
    Case("despam", 112, recipe="despam/fer2013"),
)


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        network, recipe, ablation: As in its `Case`.
        input: (channels, height, width).
        parameters, parameters_folded: In training, and deployed.
        gmacs, gmacs_640: Multiply-accumulates of convolutions and linear layers before folding, in units of 10^9, at
            the input and at 640 x 640; 1 is 2 operations.
        latency_ms: Processor time of one face in onnxruntime on one thread, the median.
        latency_ratio: The first network's latency over this one's.
        step_ms: Processor time of one training step of `BATCH` images on one thread, the median: both passes, the loss
            `cross_entropy` and plain gradient descent.
        epoch_seconds: Of FER2013's training images, at that speed.
        epoch_ratio: The first network's over this one's.
        weights_mb: Size of the 32-bit .onnx file, in 10^6 bytes.
        memory_mib: Peak memory of loading that file and scoring one face, above that of numpy and onnxruntime.
    """

    network: str
    recipe: str
    ablation: str
    input: tuple[int, int, int]
    parameters: int
    parameters_folded: int
    gmacs: float
    gmacs_640: float
    latency_ms: float
    latency_ratio: float
    step_ms: float
    epoch_seconds: float
    epoch_ratio: float
    weights_mb: float
    memory_mib: float


def measure_costs(cases: Sequence[Case] = CASES, rounds: int = 20, steps: int = 3) -> dict[str, Any]:
    """Measure networks in turns.

    Args:
        cases: One or more; ratios compare with the first.
        rounds: Timed faces of each.
        steps: Timed training steps of each.

    Returns:
        A JSON-ready dict without dates or paths: `hardware`, `rounds`, `steps`, `batch`, `networks` (`Cost`s).
    """
    check_rounds(rounds)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    networks = [_create(case) for case in cases]
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        files = [_export(network, case, Path(folder) / f"{i}.onnx") for i, (case, network) in
                 enumerate(zip(cases, networks, strict=True))]  # fmt: skip
        faces = _time([_one_face(file) for file in files], rounds)
        sizes = [file.stat().st_size / MEGABYTE for file in files]
        peaks = [row["mib"] for row in measure_memory([str(file) for file in files], None)["models"]]
    training = _time([_one_step(network, case) for case, network in zip(cases, networks, strict=True)], steps)
    hardware = describe_hardware()
    torch.set_num_threads(threads)
    measured = zip(cases, networks, faces, training, sizes, peaks, strict=True)
    rows = [_cost(*row, first_face=faces[0], first_step=training[0]) for row in measured]
    return {"hardware": hardware, "rounds": rounds, "steps": steps, "batch": BATCH, "networks": [*map(asdict, rows)]}


def _create(case: Case) -> Network:
    torch.manual_seed(0)
    name, options, modulators = case.network, None, None
    if case.recipe:
        settings = load_recipe(case.recipe, ablation=case.ablation or None).network
        name, options, modulators = settings.name, settings.options, settings.modulators
    network = registry.create(name, in_channels=case.channels, options=options, modulators=modulators)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # equal biases would be stored once
            nn.init.normal_(module.bias, std=0.01)
    # DAN's untrained features are large, and exporting compares logits absolutely
    nn.init.normal_(network.get_submodule(network.classifier_name).weight, std=1e-4)
    return network


def _export(network: Network, case: Case, path: Path) -> Path:
    spec = InputSpec(case.size, case.channels)
    path.write_bytes(make_onnx(network, ModelCard(case.network, case.network, FER2013_LABELS, spec, CropSpec())))
    return path


def _one_face(file: Path) -> Callable[[], object]:
    model = OnnxModel.load(str(file), threads=1)
    shape = (1, model.card.input.channels, model.card.input.size, model.card.input.size)
    return partial(model.predict, np.random.default_rng(0).standard_normal(shape, dtype=np.float32))


def _one_step(network: Network, case: Case) -> Callable[[], object]:
    images = torch.randn(BATCH, case.channels, case.size, case.size)
    labels = torch.arange(BATCH)
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)

    def step() -> None:
        network.train()
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()

    return step


def _time(calls: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Return the median processor time of each call in milliseconds."""
    (times,) = time_in_turns(calls, rounds, clocks=(time.process_time,))
    return [float(value) for value in np.median(times, axis=1)]


def _cost(  # noqa: PLR0913, PLR0917 - one measurement each
    case: Case, network: Network, face: float, step: float, size: float, peak: float, *,
    first_face: float, first_step: float,
) -> Cost:  # fmt: skip
    macs, macs_640 = (count_macs(network, side, case.channels) / 1e9 for side in (case.size, YOLO_INPUT))
    return Cost(
        network=case.network,
        recipe=case.recipe,
        ablation=case.ablation,
        input=(case.channels, case.size, case.size),
        parameters=count_parameters(network),
        parameters_folded=count_parameters(network.folded()),
        gmacs=round(macs, 4),
        gmacs_640=round(macs_640, 3),
        latency_ms=round(face, 2),
        latency_ratio=round(first_face / face, 2),
        step_ms=round(step, 1),
        epoch_seconds=round(step / BATCH * EPOCH_IMAGES / 1000, 1),
        epoch_ratio=round(first_step / step, 2),
        weights_mb=round(size, 2),
        memory_mib=peak,
    )


def main() -> None:
    """Measure and write the record."""
    parser = make_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="timed faces of each network")
    parser.add_argument("--steps", type=int, default=3, help="timed training steps of each network")
    options = parser.parse_args()
    write_record(measure_costs(rounds=options.rounds, steps=options.steps), options.out)


if __name__ == "__main__":
    main()
