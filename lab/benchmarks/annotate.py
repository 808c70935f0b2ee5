"""`mien annotate` beside the bare network: small face files against arrays in memory, on all cores.

The bare network scores batches that lie in memory, one thread in each of as many processes as there are cores, all at
once. The archive is read from PNG and JPEG files of 48 x 48 pixels, each of which is a face. Both take turns in one
run, because the machine may be busy with other things: read the ratios. Two are told: of throughput, and of processor
time a face, which other programs disturb less. What a job costs once (starting processes) is told by itself.

    python -m lab.benchmarks.annotate --out results/annotate.json
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from PIL import Image

from mien.core.hardware import available_cores, processor_name
from mien.inference.archive.job import ArchiveSettings
from mien.inference.archive.run import Watcher, annotate
from mien.inference.archive.worker import FACES
from mien.inference.model import OnnxModel

FACE = (slice(60, 200), slice(150, 290))  # of the portrait
CHUNK = 256
TICKS = os.sysconf("SC_CLK_TCK")


def write_faces(folder: Path, count: int) -> None:
    """Write grey 48 x 48 faces with noise, every other one as a JPEG."""
    portrait = cv2.cvtColor(skimage.data.astronaut()[FACE], cv2.COLOR_RGB2GRAY)
    face = cv2.resize(portrait, (48, 48), interpolation=cv2.INTER_AREA).astype(np.int64)
    generator = np.random.default_rng(0)
    for number in range(count):
        noisy = np.clip(face + generator.integers(-8, 9, face.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{number:06}.{'jpg' if number % 2 else 'png'}")


def score_in_memory(seconds: float, start: Any, results: Any) -> None:
    """Score batches for some seconds; report faces, seconds and processor seconds."""
    model = OnnxModel.load("default")
    spec = model.card.input
    faces = np.random.default_rng(0).standard_normal((FACES, spec.channels, spec.size, spec.size), dtype=np.float32)
    model.predict(faces)
    start.wait()
    count, begin, processor = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < seconds:
        model.predict(faces)
        count += FACES
    results.put((count, time.perf_counter() - begin, time.process_time() - processor))


def measure_bare(processes: int, seconds: float) -> tuple[float, float]:
    """Return faces a second of all processes together, and processor seconds a face."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(processes), context.SimpleQueue()
    team = [context.Process(target=score_in_memory, args=(seconds, start, results)) for _ in range(processes)]
    for process in team:
        process.start()
    told = [results.get() for _ in team]
    for process in team:
        process.join()
    return sum(count / wall for count, wall, _ in told), sum(t[2] for t in told) / sum(t[0] for t in told)


@dataclass
class Course:
    """When how many pictures were done, and the processor seconds that this and its worker processes had used."""

    points: list[tuple[float, int, float]] = field(default_factory=list)

    def advance(self, done: int, _: int) -> None:
        """Note a point."""
        pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
        self.points.append((time.perf_counter(), done, sum(map(processor_seconds, pids))))


def processor_seconds(pid: int | None) -> float:
    """Return what a process has used so far (proc(5), fields utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure_archive(folder: Path, out: Path, processes: int) -> tuple[float, float, float]:
    """Return pictures a second, processor seconds a picture, and seconds until every process had done a chunk."""
    course, begin = Course(), time.perf_counter()
    settings = ArchiveSettings(detector="none", workers=processes, chunk=CHUNK)
    summary = annotate(folder, out, settings, watcher=Watcher(advance=course.advance))
    assert summary.bad == 0
    out.unlink()
    out.with_suffix(".bad.jsonl").unlink()
    first, last = course.points[processes], course.points[-1]
    done = last[1] - first[1]
    return done / (last[0] - first[0]), (last[2] - first[2]) / done, first[0] - begin


def measure(pictures: int, rounds: int) -> dict[str, Any]:
    """Measure in turns and return the record."""
    processes = available_cores()
    bare, archive = [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "faces")
        folder.mkdir()
        write_faces(folder, pictures)
        for number in range(rounds):
            archive.append(measure_archive(folder, Path(place, "out.parquet"), processes))
            bare.append(measure_bare(processes, 0.8 * pictures / archive[-1][0]))
            print(f"{number + 1}: {archive[-1][0] / bare[-1][0]:.1%}, {bare[-1][1] / archive[-1][1]:.1%}", flush=True)
    return {
        "pictures": pictures,
        "rounds": rounds,
        "processes": processes,
        "chunk": CHUNK,
        "faces_a_pass": FACES,
        "bare_faces_a_second": round(statistics.median(rate for rate, _ in bare), 1),
        "archive_pictures_a_second": round(statistics.median(rate for rate, _, _ in archive), 1),
        "throughput_ratios": [round(a[0] / b[0], 4) for a, b in zip(archive, bare, strict=True)],
        "throughput_ratio": round(statistics.median(a[0] / b[0] for a, b in zip(archive, bare, strict=True)), 4),
        "bare_processor_us": round(1e6 * statistics.median(cost for _, cost in bare), 1),
        "archive_processor_us": round(1e6 * statistics.median(cost for _, cost, _ in archive), 1),
        "processor_time_ratio": round(statistics.median(b[1] / a[1] for a, b in zip(archive, bare, strict=True)), 4),
        "seconds_until_all_work": round(statistics.median(seconds for _, _, seconds in archive), 2),
        "load_average": round(os.getloadavg()[0], 1),
        "cpu": processor_name(),
        "onnxruntime": version("onnxruntime"),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    text = json.dumps(measure(options.pictures, options.rounds), indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
