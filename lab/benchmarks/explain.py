"""`mien explain` as a user calls it: the seconds of one face, imports included, and the memory of many images.

Whole processes are timed, in turns with one that only imports torch: on a busy machine only the ratio counts. Memory is
that of the process while it goes through a folder: after the first tenth of the images, at the end, and at most.

    python -m lab.benchmarks.explain RUN --out results/explain.json

RUN is a folder that `mien train` wrote.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from lab.benchmarks.command import make_parser, write_record
from mien.core.hardware import processor_name
from mien.evaluation.memory import MIB, process_memory

FACE = (slice(60, 200), slice(150, 290))  # of the portrait


def seconds_of(words: list[str]) -> float:
    """Return how long a process takes from its start to its end."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - begin


def mib(key: str, process: int) -> float:
    """Return a process's memory in MiB, by a key of `process_memory`."""
    return round((process_memory(key, process) or 0) / MIB, 1)


def time_one_face(run: str, face: Path, rounds: int) -> dict[str, float]:
    """Explain one face in turns with importing torch alone."""
    explain = ["-m", "mien", "explain", run, str(face), "--detector", "none"]
    turns = [(seconds_of(explain), seconds_of(["-c", "import torch"])) for _ in range(rounds)]
    whole, imports = zip(*turns, strict=True)
    return {
        "seconds": round(statistics.median(whole), 3),
        "seconds_p90": round(float(np.quantile(whole, 0.9)), 3),
        "seconds_of_importing_torch": round(statistics.median(imports), 3),
        "ratio": round(statistics.median(a / b for a, b in turns), 2),
    }


def watch_memory(run: str, face: Path, folder: Path, images: int) -> dict[str, float]:
    """Explain many images in one process, and read its memory as its results come."""
    for number in range(images):
        (folder / f"{number:05}.png").symlink_to(face)
    words = ["-m", "mien", "explain", run, str(folder), "--detector", "none", "--format", "json"]
    readings: dict[str, float] = {}
    with subprocess.Popen([sys.executable, "-u", *words], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for done, _ in enumerate(process.stdout, start=1):
            if done == images // 10:
                readings["mib_after_a_tenth"] = mib("VmRSS", process.pid)
            if done == images - 1:
                readings["mib_at_the_end"] = mib("VmRSS", process.pid)
                readings["mib_at_most"] = mib("VmHWM", process.pid)
    if process.returncode or len(readings) < 3:
        sys.exit(f"mien explain ended with exit code {process.returncode} after {len(readings)} readings.")
    return {"images": images, **readings}


def main() -> None:
    """Measure, print and write."""
    parser = make_parser(__doc__)
    parser.add_argument("run", help="a folder that `mien train` wrote")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=1000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        face, folder = Path(scratch) / "face.png", Path(scratch) / "images"
        folder.mkdir()
        Image.fromarray(skimage.data.astronaut()[FACE]).save(face)
        record = {
            "network": json.loads((Path(given.run) / "record.json").read_text(encoding="utf-8"))["name"],
            "method": "gradcam",
            "processor": processor_name(),
            "torch": version("torch"),
            "rounds": given.rounds,
            "one_face": time_one_face(given.run, face, given.rounds),
            "many_images": watch_memory(given.run, face, folder, given.images),
        }
    write_record(record, given.out)


if __name__ == "__main__":
    main()
