"""Time several networks by threads and batch size, and the stages from image to result.

For each number of threads and batch size, all networks and the references at 224 pixels take turns. Ratios are those of
processor time: on a busy machine, long calls are interrupted more often than short ones.

    python -m lab.benchmarks.latency_grid --model default --model INT8 --rounds 40 --out results/latency_grid.json
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.command import available_detectors, make_parser, write_record
from mien.core.expressions import Expression
from mien.core.hardware import processor_name
from mien.core.types import Box
from mien.data.synthetic import draw_face
from mien.evaluation.latency import check_rounds, time_in_turns
from mien.export.reference import NAMES, reference_onnx
from mien.inference.model import OnnxModel
from mien.inference.recognizer import Recognizer

THREADS = (1, 2)
BATCHES = (1, 8, 32)
CLOCKS = (time.perf_counter, time.process_time)
# Large batches are timed less often: their times vary less, and the references take seconds.
FEWEST_ROUNDS = 5
SIZE = (480, 640)
FACE = Box(240, 120, 200, 240)


@dataclass(frozen=True)
class BatchTiming:
    """One network at one batch size and number of threads; milliseconds per batch.

    Attributes:
        precision: Number format of the calculation.
        batch: Faces in one forward pass.
        median_ms, p10_ms, p90_ms: Median, 10th and 90th percentile of the wall-clock time.
        processor_ms: Median processor time over all threads.
        faster_than: The references' `processor_ms` over this one's, by name; above 1, this one is faster.
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
    """One stage for one image of 640 x 480 with one face; milliseconds: median, and the 10th and 90th percentile."""

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


def measure_grid(models: Sequence[str], rounds: int = 100) -> LatencyGrid:
    """Time models beside ResNet-18 and MobileNetV2 at 224 pixels, with 1 and 2 threads and batches of 1, 8 and 32.

    The stages are those of the first model: each detector at hand, cutting the face out, scoring it, and all of it
    with mien's own. The image is drawn, and the same box is scored whatever a detector finds in it.

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
        references = [OnnxModel(reference_onnx(name), "reference network", threads) for name in NAMES]
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
    walls, works = time_in_turns(calls, rounds, clocks=CLOCKS)
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
    image = _draw_image()
    recognizers = {name: Recognizer(model, detector) for name, detector in available_detectors().items()}
    own, first = next(iter(recognizers.items()))
    crops = [first.crop(image, FACE)]

    def recognize_face() -> None:
        first.detect(image)
        first.score([first.crop(image, FACE)])

    stages: dict[str, Callable[[], object]] = {
        f"detect ({name})": partial(recognizer.detect, image) for name, recognizer in recognizers.items()
    }
    stages |= {
        "crop": partial(first.crop, image, FACE),
        "network": partial(first.score, crops),
        f"end to end ({own})": recognize_face,
    }
    with _opencv_threads(threads):
        (times,) = time_in_turns(list(stages.values()), rounds)
    return [StageTiming(name, threads, *_summary(row)) for name, row in zip(stages, times, strict=True)]


def _draw_image() -> NDArray[np.uint8]:
    """Return an RGB image of 640 x 480: a drawn face, 200 x 240 pixels, before a grey gradient."""
    rows = np.linspace(90, 170, SIZE[0], dtype=np.uint8)
    image = np.repeat(np.repeat(rows[:, None, None], SIZE[1], axis=1), 3, axis=2)
    face = draw_face(Expression.HAPPY, np.random.default_rng(0))
    width, height = int(FACE.width), int(FACE.height)
    left, top = int(FACE.x), int(FACE.y)
    image[top : top + height, left : left + width] = cv2.resize(face, (width, height))[..., None]
    return image


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
    parser = make_parser(__doc__)
    parser.add_argument("--model", action="append", help="model by name, or an .onnx file; repeatable")
    parser.add_argument("--rounds", type=int, default=100, help="how often each network is timed")
    options = parser.parse_args()
    write_record(asdict(measure_grid(options.model or ["default"], options.rounds)), options.out)


if __name__ == "__main__":
    main()
