"""Compare `mien annotate` on small face files with the bare network on arrays in memory, on all cores.

The bare network scores batches in memory, in one single-threaded process per core. The archive consists of PNG and JPEG
files of 48 x 48 pixels, one face each. Both take turns: on a busy machine only the ratios count, of throughput and of
processor time per face, which other programs disturb less. The time to start the processes is given separately.

    python -m lab.benchmarks.annotate --images 6144 --out results/annotate.json
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage.data
from PIL import Image

from lab.benchmarks.command import describe_runtime, make_parser, write_record
from mien.core.hardware import available_cores
from mien.inference.archive.job import ArchiveSettings
from mien.inference.archive.run import annotate
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
    """Return faces per second of all processes together, and processor seconds per face."""
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(processes), context.SimpleQueue()
    team = [context.Process(target=score_in_memory, args=(seconds, start, results)) for _ in range(processes)]
    for process in team:
        process.start()
    parts = [results.get() for _ in team]
    for process in team:
        process.join()
    return sum(count / wall for count, wall, _ in parts), sum(p[2] for p in parts) / sum(p[0] for p in parts)


@dataclass
class Progress:
    """Points in time: seconds, images done, and processor seconds of this process and its workers."""

    points: list[tuple[float, int, float]] = field(default_factory=list)

    def advance(self, done: int, total: int | None) -> None:
        """Note a point, unless images are still being searched for."""
        if total is None:
            return
        pids = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
        self.points.append((time.perf_counter(), done, sum(map(processor_seconds, pids))))


def processor_seconds(pid: int | None) -> float:
    """Return the processor seconds of a process so far (proc(5), fields utime and stime)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure_archive(folder: Path, out: Path, processes: int) -> tuple[float, float, float]:
    """Return images per second, processor seconds per image, and seconds until every process had done a chunk."""
    progress, begin = Progress(), time.perf_counter()
    settings = ArchiveSettings(detector="none", workers=processes, chunk=CHUNK)
    summary = annotate(folder, out, settings, advance=progress.advance)
    assert summary.bad == 0
    out.unlink()
    out.with_suffix(".bad.jsonl").unlink()
    first, last = progress.points[processes], progress.points[-1]
    done = last[1] - first[1]
    return done / (last[0] - first[0]), (last[2] - first[2]) / done, first[0] - begin


def measure(images: int, rounds: int) -> dict[str, Any]:
    """Measure in turns and return the record."""
    processes = available_cores()
    bare, archive = [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "faces")
        folder.mkdir()
        write_faces(folder, images)
        for number in range(rounds):
            archive.append(measure_archive(folder, Path(place, "out.parquet"), processes))
            bare.append(measure_bare(processes, 0.8 * images / archive[-1][0]))
            print(f"{number + 1}: {archive[-1][0] / bare[-1][0]:.1%}, {bare[-1][1] / archive[-1][1]:.1%}", flush=True)
    return {
        "images": images,
        "rounds": rounds,
        "processes": processes,
        "chunk": CHUNK,
        "faces_a_pass": FACES,
        "bare_faces_a_second": round(statistics.median(rate for rate, _ in bare), 1),
        "archive_images_a_second": round(statistics.median(rate for rate, _, _ in archive), 1),
        "throughput_ratios": [round(a[0] / b[0], 4) for a, b in zip(archive, bare, strict=True)],
        "throughput_ratio": round(statistics.median(a[0] / b[0] for a, b in zip(archive, bare, strict=True)), 4),
        "bare_processor_us": round(1e6 * statistics.median(cost for _, cost in bare), 1),
        "archive_processor_us": round(1e6 * statistics.median(cost for _, cost, _ in archive), 1),
        "processor_time_ratio": round(statistics.median(b[1] / a[1] for a, b in zip(archive, bare, strict=True)), 4),
        "seconds_until_all_work": round(statistics.median(seconds for _, _, seconds in archive), 2),
        "load_average": round(os.getloadavg()[0], 1),
        **describe_runtime(),
    }


def main() -> None:
    """Run the benchmark."""
    parser = make_parser(__doc__)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    write_record(measure(options.images, options.rounds), options.out)


if __name__ == "__main__":
    main()
