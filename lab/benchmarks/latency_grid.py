"""How long faces take: several networks by threads and batch, and the stages from picture to answer.

Everything of one number of threads and one batch is timed in turns, the reference networks at 224 pixels too. Ratios
are those of processor time: on a machine that does other work, long calls wait more often than short ones.

    python -m lab.benchmarks.latency_grid --model default --model INT8 --rounds 40 --out results/latency_grid.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.mobilenet_v2 import mobilenet_v2_onnx
from mien.core.expressions import Expression
from mien.core.hardware import processor_name
from mien.core.types import Box
from mien.data.synthetic import draw_face
from mien.evaluation.latency import check_rounds, measure_in_turns, time_in_turns
from mien.evaluation.reference import resnet18_onnx
from mien.inference.detectors.registry import create_detector
from mien.inference.detectors.yunet import find_weights
from mien.inference.model import OnnxModel
from mien.inference.recognizer import Recognizer

THREADS = (1, 2)
BATCHES = (1, 8, 32)
CLOCKS = (time.perf_counter, time.process_time)
# A large batch is timed less often: its time spreads less, and the references take seconds for it.
FEWEST_ROUNDS = 5
PICTURE = (480, 640)
FACE = Box(240, 120, 200, 240)


@dataclass(frozen=True)
class BatchTiming:
    """One network at one batch and number of threads; milliseconds a batch.

    Attributes:
        network: Its name.
        precision: What it calculates in.
        threads: Threads that it may use.
        batch: Faces in one forward pass.
        median_ms: Median time.
        p10_ms: 10th percentile, nearly what an idle machine would need.
        p90_ms: 90th percentile.
        processor_ms: Median of the processor's time, over all threads.
        faster_than: The references' `processor_ms` over this one's, by their names; above 1, this one is faster.
    """

    network: str
    precision: str
    threads: int
    batch: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    processor_ms: float
    faster_than: dict[str, float]


@dataclass(frozen=True)
class StageTiming:
    """One stage for one picture of 640 x 480 with one face; milliseconds: median, and the 10th and 90th percentile."""

    stage: str
    threads: int
    median_ms: float
    p10_ms: float
    p90_ms: float


@dataclass(frozen=True)
class LatencyGrid:
    """All timings of a run; `rounds` are those of a single face."""

    networks: tuple[BatchTiming, ...]
    stages: tuple[StageTiming, ...]
    rounds: int
    cpu: str
    onnxruntime: str

    def to_json(self) -> dict[str, Any]:
        """Return the record: no dates, no paths."""
        return asdict(self)


def measure_grid(models: Sequence[str], rounds: int = 100) -> LatencyGrid:
    """Time models beside ResNet-18 and MobileNetV2 at 224 pixels, with 1 and 2 threads and batches of 1, 8 and 32.

    The stages are those of the first model: each detector at hand, cutting the face out, scoring it, and all of it
    with the better detector. The picture is drawn, and the same box is scored whatever a detector finds in it.

    Args:
        models: Names of models or paths of .onnx files, one at least.
        rounds: How often each is timed at a batch of 1; larger batches less often. 1 to 100,000.

    Raises:
        MienError: `rounds` is out of range, or a model cannot be used.
    """
    check_rounds(rounds)
    networks: list[BatchTiming] = []
    stages: list[StageTiming] = []
    for threads in THREADS:
        loaded = [OnnxModel.load(model, threads) for model in models]
        references = [
            OnnxModel(content, "reference network", threads) for content in (resnet18_onnx(), mobilenet_v2_onnx())
        ]
        for batch in BATCHES:
            networks += _time_batch(loaded, references, threads, batch, max(FEWEST_ROUNDS, rounds // batch))
        stages += _time_stages(loaded[0], threads, rounds)
    return LatencyGrid(tuple(networks), tuple(stages), rounds, processor_name(), version("onnxruntime"))


def _time_batch(
    models: list[OnnxModel], references: list[OnnxModel], threads: int, batch: int, rounds: int
) -> list[BatchTiming]:
    everyone = [*models, *references]
    generator = np.random.default_rng(0)
    calls = []
    for model in everyone:
        spec = model.card.input
        images = generator.standard_normal((batch, spec.channels, spec.size, spec.size), dtype=np.float32)
        calls.append(partial(model.predict, images))
    walls, works = measure_in_turns(calls, rounds, clocks=CLOCKS)
    medians = np.median(works, axis=1)
    yardsticks = {m.card.name: medians[len(models) + row] for row, m in enumerate(references)}
    return [
        BatchTiming(
            model.card.name,
            model.card.precision,
            threads,
            batch,
            *_summary(row),
            round(float(median), 4),
            {name: round(float(yardstick / median), 2) for name, yardstick in yardsticks.items()},
        )
        for model, row, median in zip(everyone, walls, medians, strict=True)
    ]


def _time_stages(model: OnnxModel, threads: int, rounds: int) -> list[StageTiming]:
    picture = _draw_picture()
    names = ["yunet", "haar"] if find_weights() else ["haar"]
    recognizers = [Recognizer(model, create_detector(name)) for name in names]
    first = recognizers[0]
    crops = [first.crop(picture, FACE)]

    def recognize_face() -> None:
        first.detect(picture)
        first.score([first.crop(picture, FACE)])

    stages: dict[str, Callable[[], object]] = {
        f"detect ({name})": partial(recognizer.detect, picture)
        for name, recognizer in zip(names, recognizers, strict=True)
    }
    stages |= {
        "crop": partial(first.crop, picture, FACE),
        "network": partial(first.score, crops),
        f"end to end ({names[0]})": recognize_face,
    }
    with _opencv_threads(threads):
        times = time_in_turns(list(stages.values()), rounds)
    return [StageTiming(name, threads, *_summary(row)) for name, row in zip(stages, times, strict=True)]


def _draw_picture() -> NDArray[np.uint8]:
    """Return an RGB picture of 640 x 480: a drawn face, 200 x 240 pixels, before a grey gradient."""
    rows = np.linspace(90, 170, PICTURE[0], dtype=np.uint8)
    picture = np.repeat(np.repeat(rows[:, None, None], PICTURE[1], axis=1), 3, axis=2)
    face = draw_face(Expression.HAPPY, np.random.default_rng(0))
    width, height = int(FACE.width), int(FACE.height)
    left, top = int(FACE.x), int(FACE.y)
    picture[top : top + height, left : left + width] = cv2.resize(face, (width, height))[..., None]
    return picture


@contextmanager
def _opencv_threads(threads: int) -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(threads)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _summary(times: NDArray[np.float64]) -> tuple[float, float, float]:
    low, median, high = np.quantile(times, [0.1, 0.5, 0.9])
    return round(float(median), 4), round(float(low), 4), round(float(high), 4)


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="model by name, or an .onnx file; repeatable")
    parser.add_argument("--rounds", type=int, default=100, help="how often each network is timed")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    options = parser.parse_args()
    record = json.dumps(measure_grid(options.model or ["default"], options.rounds).to_json(), indent=1)
    print(record)
    if options.out:
        options.out.write_text(record + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
