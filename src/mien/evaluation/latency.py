"""Latency of one face, as a ratio to a well-known network that is timed in the same run.

Milliseconds depend on the machine and its load; the ratio to a reference that is timed in turns with the model hardly
does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.card import InputSpec
from mien.core.errors import MienError
from mien.core.hardware import processor_name
from mien.inference.model import OnnxModel

TURN = 10
MAX_ROUNDS = 100_000


def measure_latency(model: str, reference: bytes | None, rounds: int = 100, threads: int = 1) -> dict[str, Any]:
    """Time a model and a reference network, one image per call, in turns.

    Only `predict` is timed: no decoding, detection or cropping.

    Args:
        model: A model's name or the path of its .onnx file.
        reference: The reference as an .onnx file; None: the model is timed alone.
        rounds: Timed calls of each; 1 to 100,000.
        threads: CPU threads of each network.

    Returns:
        A JSON-ready dict without dates or paths: `model` and `reference`, each with `network`, `input` (N, C, H, W),
        `median_ms` and `p90_ms`; `ratio`, the reference's median over the model's; `rounds`, `threads`, `cpu` and
        `onnxruntime`. Without a reference, `reference` and `ratio` are None.

    Raises:
        MienError: `rounds` is out of range, or the model cannot be used.
    """
    check_rounds(rounds)
    models = [OnnxModel.load(model, threads=threads)]
    if reference is not None:
        models.append(OnnxModel(reference, "reference network", threads))
    images = [_random_image(m.card.input) for m in models]
    (times,) = time_in_turns([partial(m.predict, image) for m, image in zip(models, images, strict=True)], rounds)
    timings = [
        {
            "network": m.card.name,
            "input": list(image.shape),
            "median_ms": round(float(np.median(row)), 4),
            "p90_ms": round(float(np.quantile(row, 0.9)), 4),
        }
        for m, image, row in zip(models, images, times, strict=True)
    ]
    medians = np.median(times, axis=1).round(4)
    return {
        "model": timings[0],
        "reference": timings[1] if reference else None,
        "ratio": round(float(medians[1] / medians[0]), 2) if reference else None,
        "rounds": rounds,
        "threads": threads,
        "cpu": processor_name(),
        "onnxruntime": version("onnxruntime"),
    }


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
