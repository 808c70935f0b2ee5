"""Serve one tool over standard input and output, one JSON object a line; runs in the tool's own environment.

    python worker.py ADAPTER '{"option": ...}'

ADAPTER is a module of this folder with a class `Tool`:

    Tool(options)              imports the tool
    labels                     the tool's labels, in the order of its scores
    version                    the tool's version
    load(threads)              loads its models; threads is None for the tool's own choice
    crop(pixels, way)          scores of one face, (48, 48) uint8, or None if the tool finds none in it
    image(path)                [{"box": [x, y, w, h], "scores": [...]}, ...] of an image file
    video(path)                the number of faces in each frame of a video file, its results being made

Only the standard library and numpy are used besides the tool.
"""

from __future__ import annotations

import csv
import importlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

SIDE = 48


def serve(name: str, options: dict[str, Any], answers: TextIO) -> None:
    """Answer requests until the input ends."""
    start = time.perf_counter()
    tool = importlib.import_module(name).Tool(options)
    hello = {"import_seconds": time.perf_counter() - start, "version": tool.version}
    print(json.dumps(hello), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            answer = globals()[f"do_{request['do']}"](tool, request)
        except Exception as error:  # whatever a tool raises is its answer
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answer |= {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        print(json.dumps(answer), file=answers, flush=True)


def do_load(tool: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Load the models; return the labels."""
    tool.load(request["threads"])
    return {"labels": list(tool.labels)}


def do_crops(tool: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of every face in a file of 48 x 48 grey bytes."""
    return {"scores": [tool.crop(face, request["way"]) for face in _faces(request)]}


def do_time(tool: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Recognize faces one by one; the time is measured for every request."""
    for face in _faces(request):
        tool.crop(face, request["way"])
    return {}


def do_images(tool: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Recognize files one by one, and write a table if asked."""
    found = [tool.image(path) for path in request["paths"]]
    if request.get("table"):
        with Path(request["table"]).open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["image", "x", "y", "width", "height", *tool.labels])
            for path, faces in zip(request["paths"], found, strict=True):
                rows.writerows([path, *face["box"], *face["scores"]] for face in faces)
    return {"faces": found}


def do_video(tool: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Recognize a video from file to results."""
    return {"counts": tool.video(request["path"])}


def do_memory(tool: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return the peak of this process's resident memory in MiB."""
    del tool, request
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return {"mib": int(peak) / 1024}


def _faces(request: dict[str, Any]) -> Any:
    import numpy as np

    return np.fromfile(request["file"], dtype=np.uint8).reshape(-1, SIDE, SIDE)[: request.get("count")]


if __name__ == "__main__":
    own = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a tool prints must not mix with the answers
    serve(sys.argv[1], json.loads(sys.argv[2]), own)
