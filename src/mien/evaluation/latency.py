"""Latency of one face, as a ratio to a well-known network that is timed in the same run.

Milliseconds depend on the machine and its load; the ratio to a reference that is timed in turns with the model hardly
does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.card import InputSpec
from mien.core.errors import MienError
from mien.core.hardware import processor_name
from mien.evaluation.reference import resnet18_onnx
from mien.inference.model import OnnxModel

TURN = 10
MAX_ROUNDS = 100_000


@dataclass(frozen=True)
class Timing:
    """One network's milliseconds for one image: median and 90th percentile; `input` is (N, C, H, W)."""

    network: str
    input: tuple[int, ...]
    median_ms: float
    p90_ms: float


@dataclass(frozen=True)
class Latency:
    """A model's time and the reference's; `ratio` is the reference's median over the model's."""

    model: Timing
    reference: Timing
    ratio: float
    rounds: int
    threads: int
    cpu: str
    onnxruntime: str

    def to_json(self) -> dict[str, Any]:
        """Return the record: no dates, no paths."""
        return asdict(self)


def measure_latency(model: str, rounds: int = 100, threads: int = 1) -> Latency:
    """Time a model and an untrained ResNet-18 at 224 pixels, one image per call, in turns.

    Only `predict` is timed: no decoding, detection or cropping.

    Args:
        model: A model's name or the path of its .onnx file.
        rounds: Timed calls of each; 1 to 100,000.
        threads: CPU threads of each network.

    Raises:
        MienError: `rounds` or `threads` is out of range, or the model cannot be used.
    """
    check_rounds(rounds)
    if threads < 1:
        raise MienError(f"{threads} threads given; expected 1 or more.")
    models = (
        OnnxModel.load(model, threads=threads),
        OnnxModel(resnet18_onnx(), "reference network", threads),
    )
    images = [_random_image(m.card.input) for m in models]
    calls = [partial(m.predict, image) for m, image in zip(models, images, strict=True)]
    (times,) = time_in_turns(calls, rounds)
    timings = [
        Timing(m.card.name, image.shape, round(float(np.median(row)), 4), round(float(np.quantile(row, 0.9)), 4))
        for m, image, row in zip(models, images, times, strict=True)
    ]
    return Latency(
        model=timings[0],
        reference=timings[1],
        ratio=round(timings[1].median_ms / timings[0].median_ms, 2),
        rounds=rounds,
        threads=threads,
        cpu=processor_name(),
        onnxruntime=version("onnxruntime"),
    )


def check_rounds(rounds: int) -> None:
    """Raise `MienError` unless `rounds` is 1 to 100,000."""
    if not 1 <= rounds <= MAX_ROUNDS:
        raise MienError(f"{rounds} rounds given; expected 1 to {MAX_ROUNDS:,}.")


def time_in_turns(
    calls: Sequence[Callable[[], object]],
    rounds: int,
    *,
    turn: int = TURN,
    clocks: Sequence[Callable[[], float]] = (time.perf_counter,),
) -> NDArray[np.float64]:
    """Time each call `rounds` times, in turns of `turn`; return milliseconds, (clocks, calls, rounds).

    With turns, a slow moment of the machine affects all calls alike. Each turn starts with a call that is not timed, to
    bring the weights back into the processor's cache.

    `time.process_time` counts CPU time only. On a shared processor, long calls are interrupted more than short ones,
    and ratios of wall-clock time are distorted.
    """
    times = np.empty((len(clocks), len(calls), rounds))
    for first in range(0, rounds, turn):
        for row, call in enumerate(calls):
            call()
            for i in range(first, min(first + turn, rounds)):
                start = [clock() for clock in clocks]
                call()
                times[:, row, i] = [1000 * (clock() - begun) for clock, begun in zip(clocks, start, strict=True)]
    return times


def _random_image(spec: InputSpec) -> NDArray[np.float32]:
    generator = np.random.default_rng(0)
    return generator.standard_normal((1, spec.channels, spec.size, spec.size), dtype=np.float32)
