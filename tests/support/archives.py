"""Archives of many small images, and the results of a finished job."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image


def write_archive(folder: Path, count: int) -> None:
    """Write many images, half of them dark and half bright, as links to two files, which is fast."""
    folder.mkdir(parents=True)
    checks = (np.indices((48, 48)).sum(0) // 4 % 2 * 100).astype(np.uint8)
    for number in range(count):
        path = folder / f"{number:05}.png"
        if number < 2:
            Image.fromarray(checks + np.uint8(155 * number)).save(path)
        else:
            path.hardlink_to(folder / f"{number % 2:05}.png")


def rows_of(out: Path) -> list[dict[str, object]]:
    """Return the table's rows."""
    rows: list[dict[str, object]] = pq.read_table(out).to_pylist()
    return rows


def bad_of(out: Path) -> dict[str, str]:
    """Return the reasons of the bad files, by path."""
    lines = out.with_suffix(".bad.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["source"]: row["reason"] for row in map(json.loads, lines)}


def start(*arguments: object, **variables: str) -> subprocess.Popen[str]:
    """Start `mien annotate` in a process of its own, without a detector."""
    return subprocess.Popen(
        [sys.executable, "-m", "mien", "annotate", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[str], seconds: float = 120) -> Path:
    """Return the first file of a pattern that a running job makes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if found := next(folder.glob(pattern), None):
            return found
        time.sleep(0.002)
    raise AssertionError(f"no {pattern} in {folder}: {process.communicate(timeout=5)}")


def worker_of(folder: Path, process: subprocess.Popen[str]) -> int:
    """Return the process id of a worker that is at work, from the notes that it makes."""
    while True:
        try:
            return int(struct.unpack_from("=qq", wait_for("trace-*", folder, process).read_bytes())[0])
        except (OSError, struct.error):  # the chunk has just been finished
            continue
