"""Time a 720p clip with three drawn faces from file to results, in turns with well-known networks; watch memory.

python -m lab.benchmarks.video_speed --seconds 4 --out results/video.json
python -m lab.benchmarks.video_speed --seconds 0 --minutes 60 --out results/soak.json
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.command import available_detectors, describe_runtime, make_parser, write_record
from lab.benchmarks.drawn_clip import FACES, RATE, draw_frames, write_clip
from mien.core.errors import MienError
from mien.evaluation.memory import MIB, process_memory
from mien.export.reference import NAMES, reference_onnx
from mien.inference.detectors import Detector
from mien.inference.draw import draw_faces
from mien.inference.model import OnnxModel
from mien.inference.recognizer import Recognizer
from mien.inference.video.face_stream import FaceStream, stream
from mien.inference.video.recording import VideoRecorder
from mien.inference.video.sources import open_video
from mien.inference.video.summary import VideoSummary
from mien.inference.video.writers import frame_text

SIZE = (1280, 720)
SMALL = (320, 180)  # of the long stream: what is kept between frames does not depend on the size
ROUNDS = 3


@dataclass(frozen=True)
class Speed:
    """One network and detector, medians of several rounds.

    `cpu_ms_per_frame` is processor time over all threads; `ratio` is the model's frames per second over this one's.
    """

    network: str
    detector: str
    use_writing: bool
    frames_per_second: float
    cpu_ms_per_frame: float
    ratio: float


@dataclass(frozen=True)
class Soak:
    """Memory of the process (resident, MiB) after the first minute of a stream, at its end, and at most after that."""

    minutes: float
    frames: int
    size: tuple[int, int]
    after_one_minute_mib: float
    at_end_mib: float
    highest_mib: float


def measure_video(model: str, seconds: float, minutes: float, threads: int) -> dict[str, Any]:
    """Measure speed and memory.

    Each available detector is timed with the model, with and without writing an annotated video; the first one, mien's
    own, also with each reference network. All take turns.
    """
    cv2.setNumThreads(threads)
    detectors = list(available_detectors().values())
    measured = OnnxModel.load(model, threads)
    record: dict[str, Any] = {"network": measured.card.name}
    if minutes:  # first: a leak could hide in memory that other networks have freed
        record["soak"] = asdict(_soak(measured, detectors[0], minutes))
    if frames := round(seconds * RATE):
        references = [OnnxModel(reference_onnx(name), "reference network", threads) for name in NAMES]
        record["clip"] = {"width": SIZE[0], "height": SIZE[1], "frames": frames, "faces": FACES}
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "clip.mp4"
            write_clip(clip, draw_frames(detectors, SIZE, frames))
            speeds = _measure_speeds(clip, measured, references, detectors, threads)
            record["speeds"] = [asdict(speed) for speed in speeds]
            record["stages_cpu_ms_per_frame"] = _measure_stages(clip, measured, detectors[0], threads)
        record["rounds"] = ROUNDS
    return record | {
        "threads": threads,
        "cores": os.cpu_count(),
        **describe_runtime(),
        "av": version("av"),
    }


def _measure_speeds(
    clip: Path, model: OnnxModel, references: list[OnnxModel], detectors: list[Detector], threads: int
) -> list[Speed]:
    cases = [(model, detector, use_writing) for detector in detectors for use_writing in (False, True)]
    cases += [(reference, detectors[0], False) for reference in references]
    rates, costs = np.zeros((2, ROUNDS, len(cases)))
    for turn in range(ROUNDS):
        for column, (network, detector, use_writing) in enumerate(cases):
            recognizer = Recognizer(network, detector, threads, use_rejection=False)
            start = time.process_time()
            frames, seconds = _go_through(clip, recognizer, use_writing, threads)
            rates[turn, column] = frames / seconds
            costs[turn, column] = 1000 * (time.process_time() - start) / frames
    medians = np.median(rates, axis=0)
    own = {detector.name: medians[cases.index((model, detector, False))] for detector in detectors}
    speeds = []
    for (network, detector, writes), rate, cost in zip(cases, medians, np.median(costs, axis=0), strict=True):
        figures = round(float(rate), 1), round(float(cost), 2), round(float(own[detector.name] / rate), 2)
        speeds.append(Speed(network.card.name, detector.name, writes, *figures))
    return speeds


def _go_through(clip: Path, recognizer: Recognizer, use_writing: bool, threads: int) -> tuple[int, float]:
    """Return the number of frames and the seconds they took."""
    frames = 0
    start = time.perf_counter()
    recorder = VideoRecorder(clip.with_name("drawn.mp4"), threads) if use_writing else None
    for result in stream(clip, recognizer):
        frames += 1
        if recorder is not None and result.pixels is not None:
            recorder.write(draw_faces(result.pixels, result.faces), result.time)
    if recorder is not None:
        recorder.close()
    return frames, time.perf_counter() - start


def _measure_stages(clip: Path, model: OnnxModel, detector: Detector, threads: int) -> dict[str, float]:
    """Return processor milliseconds per frame of each step, averaged over all frames."""
    clock = _Clock()
    timed = _TimedDetector(detector, clock)
    recognizer = Recognizer(model, timed, threads, use_rejection=False)
    faces = FaceStream(recognizer)
    recorder = VideoRecorder(clip.with_name("stages.mp4"), threads)
    frames = clock.each("decode", open_video(clip).frames())
    for frame in frames:
        with clock.time("find"):
            found = faces.find(frame)
        with clock.time("recognize"):
            scores = recognizer.score(found.crops)
        with clock.time("smooth"):
            result = faces.smooth(found, zip(scores.probabilities, scores.reject, strict=True))
        with clock.time("draw"):
            drawn = draw_faces(frame.pixels, result.faces)
        with clock.time("write"):
            recorder.write(drawn, frame.time)
    recorder.close()
    spent = {name: 1000 * seconds / (frame.index + 1) for name, seconds in clock.spent.items()}
    spent["follow and crop"] = spent.pop("find") - spent["detect"]
    order = ("decode", "detect", "follow and crop", "recognize", "smooth", "draw", "write")
    return {name: round(spent[name], 3) for name in order}


def _soak(model: OnnxModel, detector: Detector, minutes: float) -> Soak:
    """Run a long stream of small frames with everything that a video produces: lines, a summary."""
    count = max(round(minutes * 60 * RATE), 1)
    summary = VideoSummary(model.card.labels.names)
    early = highest = at_end = 0.0
    images = draw_frames([detector], SMALL, count)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        video = open_video(images, rate=RATE)
        for result in stream(video, Recognizer(model, detector, use_rejection=False)):
            nowhere.write(frame_text("csv", "soak", result))
            summary.add(result)
            if result.index == min(60 * RATE, count) - 1:
                early = highest = _resident_mib()
            elif early and result.index % RATE == 0:
                highest = max(highest, _resident_mib())
        at_end = _resident_mib()
    return Soak(minutes, count, SMALL, early, at_end, max(highest, at_end))


class _Clock:
    """Adds up processor seconds by name."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Time a `with` block."""
        start = time.process_time()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - start

    def each(self, name: str, items: Iterator[Any]) -> Iterator[Any]:
        """Time the production of each item."""
        while True:
            with self.time(name):
                item = next(items, None)
            if item is None:
                return
            yield item


class _TimedDetector:
    def __init__(self, detector: Detector, clock: _Clock) -> None:
        self.name = detector.name
        self._detector, self._clock = detector, clock

    def detect(self, image: NDArray[np.uint8]) -> list[Any]:
        with self._clock.time("detect"):
            return self._detector.detect(image)


def _resident_mib() -> float:
    """Return this process's memory in MiB."""
    resident = process_memory("VmRSS")
    if resident is None:
        raise MienError("Memory is measured on Linux only; leave --minutes out.")
    return round(resident / MIB, 1)


def main() -> None:
    """Measure, print, and write the record."""
    parser = make_parser(__doc__)
    parser.add_argument("--model", default="default", help="model by name, or an .onnx file")
    parser.add_argument("--seconds", type=float, default=12, help="length of the drawn clip; 0: only --minutes")
    parser.add_argument("--minutes", type=float, default=0, help="also run a stream of this length and watch memory")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the network, OpenCV and the codecs")
    options = parser.parse_args()
    if not (options.seconds or options.minutes):
        parser.error("nothing to measure: set --seconds or --minutes")
    write_record(measure_video(options.model, options.seconds, options.minutes, options.threads), options.out)


if __name__ == "__main__":
    main()
