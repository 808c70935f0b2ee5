"""The measurements: each returns its part of the record, by tool. Tools take turns wherever time is measured."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lab.benchmarks.scenes import find_middle
from lab.peers.labels import EXPRESSIONS, choose, number_labels
from lab.peers.material import SIZE, Crops
from lab.peers.session import DiedError, HungError, Session
from lab.peers.tools import OURS, Tool
from mien.core.errors import MienError
from mien.core.types import Box
from mien.evaluation.proportions import wilson_interval

Part = dict[str, Any]
NO_ANSWER = -1
# Faces of one turn, and turns, of the time for one face.
BURST, TURNS = 25, 15
WARM_UP = 10
CHUNK = 25
IMAGES_SECONDS = 900


def score_crops(tools: Sequence[Tool], crops: Crops, file: Path) -> Part:
    """Score every way of every tool to classify a crop."""
    part: Part = {}
    for tool in tools:
        with Session(tool, threads=1) as session:
            numbers = number_labels(session.labels)
            for way in tool.ways:
                request = {"do": "crops", "file": str(file), "way": way}
                chosen = _chosen(session.ask(request, IMAGES_SECONDS)["scores"], numbers)
                part.setdefault(tool.name, {})[way] = score(chosen, crops.truth, crops.duplicates)
    return part


def score(chosen: NDArray[np.int64], truth: NDArray[np.int64], duplicates: NDArray[np.bool_]) -> Part:
    """Return accuracy (with 95 % interval) and mean class accuracy; an image without an answer is wrong.

    Args:
        chosen: Number of the chosen expression by image (n,), or `NO_ANSWER`.
        truth: The label's (n,).
        duplicates: Whether the image is also in Training (n,).
    """
    right = chosen == truth
    present = [number for number in range(len(EXPRESSIONS)) if (truth == number).any()]
    recall = {EXPRESSIONS[number]: float(right[truth == number].mean()) for number in present}
    rest = right[~duplicates]
    return {
        **_share(int(right.sum()), len(right)),
        "answered": int((chosen != NO_ANSWER).sum()),
        "mean_class_accuracy": round(float(np.mean(list(recall.values()))), 4),
        "recall": {name: round(value, 4) for name, value in recall.items()},
        "without_duplicates": _share(int(rest.sum()), len(rest)),
    }


def score_scenes(tools: Sequence[Tool], paths: Sequence[Path], truth: NDArray[np.int64]) -> Part:
    """Score each tool's own detector and network on images with one pasted face each."""
    part: Part = {}
    for tool in tools:
        with _or_error(part, tool), Session(tool, threads=1) as session:
            numbers = number_labels(session.labels)
            found = session.ask({"do": "images", "paths": [str(path) for path in paths]}, IMAGES_SECONDS)["faces"]
            part[tool.name] = score_found(paths, found, numbers, truth)
    return part


def score_found(
    paths: Sequence[Path],
    found: Sequence[list[dict[str, Any]]],
    numbers: Sequence[int | None],
    truth: NDArray[np.int64],
) -> Part:
    """Return how many pasted faces were found, how many of these got the right label, and the other boxes."""
    hits, right, others = 0, 0, 0
    for path, faces, label in zip(paths, found, truth, strict=True):
        boxes = [Box(*face["box"]) for face in faces]
        with Image.open(path) as image:
            _, near = find_middle(image.height, boxes)
        others += len(boxes) - len(near)
        if near:
            hits += 1
            largest = max(near, key=lambda index: boxes[index].width * boxes[index].height)
            right += choose(faces[largest]["scores"], numbers) == int(label)
    return {
        "found": _share(hits, len(paths)),
        "right_among_found": _share(right, hits) if hits else None,
        "right_of_all": _share(right, len(paths)),
        "other_boxes": others,
    }


def time_face(tools: Sequence[Tool], file: Path) -> Part:
    """Time one face at a time on one thread; the tools, and their ways for a crop, take turns.

    Only processor time is kept: on a busy machine, longer calls are interrupted more often.
    """
    ways = [(tool.name, way) for tool in tools for way in tool.ways]
    spent: dict[tuple[str, str], list[float]] = {key: [] for key in ways}
    with contextlib.ExitStack() as stack:
        sessions = {tool.name: stack.enter_context(Session(tool, threads=1)) for tool in tools}
        for turn in range(TURNS + 1):
            for name, way in ways:
                count = BURST if turn else WARM_UP
                answer = sessions[name].ask({"do": "time", "file": str(file), "count": count, "way": way})
                if turn:
                    spent[name, way].append(answer["cpu_seconds"] / count)
    part: Part = {}
    for name, way in ways:
        seconds = spent[name, way]
        ratio = _ratio(seconds, spent[OURS, "public"])
        part.setdefault(name, {})[way] = {"processor_ms": _ms(seconds), "processor_ratio": ratio}
    return part


def start_tools(tools: Sequence[Tool], portrait: Path, rounds: int) -> Part:
    """Time the start up to the first result of a portrait in fresh processes, and take their peak of memory."""
    seen: dict[str, list[Part]] = {tool.name: [] for tool in tools}
    for _ in range(rounds):
        for tool in tools:
            with Session(tool) as session:
                ready = time.perf_counter() - session.started
                faces = session.ask({"do": "images", "paths": [str(portrait)]})["faces"][0]
                first = time.perf_counter() - session.started
                memory = session.ask({"do": "memory"})["mib"]
                figures = {"ready_seconds": ready, "first_result_seconds": first, "peak_mib": memory}
                seen[tool.name].append(figures | {"faces": len(faces), "version": session.hello["version"]})
    part: Part = {}
    for name, runs in seen.items():
        keys = ("ready_seconds", "first_result_seconds", "peak_mib")
        part[name] = {key: round(median(run[key] for run in runs), 2) for key in keys}
        part[name] |= {"faces": runs[0]["faces"], "version": runs[0]["version"]}
    return part


def time_folder(tools: Sequence[Tool], paths: Sequence[Path], faces: int, tables: Path) -> Part:
    """Time a folder of images to CSV, in turns of some images, with each tool's own choice of threads."""
    names = [str(path) for path in paths]
    chunks = [names[start : start + CHUNK] for start in range(0, len(names), CHUNK)]

    def ask(session: Session, number: int) -> Part:
        table = str(tables / f"{session.tool.environment}-{number}.csv")
        return session.ask({"do": "images", "paths": chunks[number], "table": table}, IMAGES_SECONDS)

    def count(answer: Part) -> int:
        return sum(map(len, answer["faces"]))

    part = _time_turns(tools, ask, len(chunks), [len(chunk) for chunk in chunks], count)
    return {name: {"images": len(names), "pasted": faces, **figures} for name, figures in part.items()}


def time_video(tools: Sequence[Tool], clip: Path, raw: Path, frames: int, rounds: int) -> Part:
    """Time a video from file to results, in turns, with each tool's own choice of threads."""
    request = {"do": "video", "path": str(clip), "raw": str(raw), "width": SIZE[0], "height": SIZE[1]}

    def count(answer: Part) -> int:
        return sum(answer["counts"])

    part = _time_turns(tools, lambda session, _: session.ask(request), rounds, [frames] * rounds, count)
    for figures in part.values():
        if "faces" in figures:
            figures["faces"] = round(figures["faces"] / rounds)
    return {name: {"frames": frames, "rounds": rounds, **figures} for name, figures in part.items()}


def try_wrong_inputs(tools: Sequence[Tool], files: Mapping[str, Path], seconds: float = 120) -> Part:
    """Say in one word what each tool does with each file: refused, none, face(s), died or hung."""
    part: Part = {}
    for tool in tools:
        part[tool.name] = {}
        for name, path in files.items():
            try:
                with Session(tool) as session:
                    faces = session.ask({"do": "images", "paths": [str(path)]}, seconds)["faces"][0]
                outcome: Part = {"word": describe_count(len(faces))}
            except DiedError:
                outcome = {"word": "died"}
            except HungError:
                outcome = {"word": "hung"}
            except MienError as error:
                outcome = {"word": "refused", "message": str(error).replace(str(path.parent), "").replace("\n", " ")}
            part[tool.name][name] = outcome
    return part


def describe_count(faces: int) -> str:
    """Return how many faces were found, as one word."""
    return "none" if not faces else "face" if faces == 1 else "faces"


def _time_turns(
    tools: Sequence[Tool],
    ask: Callable[[Session, int], Part],
    turns: int,
    items: Sequence[int],
    count: Callable[[Part], int],
) -> Part:
    """Let the tools take turns; return rates and ratios, and the number of faces found."""
    part: Part = {}
    wall: dict[str, list[float]] = {}
    spent: dict[str, list[float]] = {}
    faces: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        sessions = {tool.name: stack.enter_context(Session(tool)) for tool in tools}
        for turn in range(turns):
            for tool in tools:
                if tool.name in part:
                    continue
                with _or_error(part, tool):
                    answer = ask(sessions[tool.name], turn)
                    wall.setdefault(tool.name, []).append(answer["seconds"] / items[turn])
                    spent.setdefault(tool.name, []).append(answer["cpu_seconds"] / items[turn])
                    faces[tool.name] = faces.get(tool.name, 0) + count(answer)
    if "error" in part.get(OURS, {}):
        raise MienError(f"{OURS}: {part[OURS]['error']}")
    for tool in tools:
        name = tool.name
        if name not in part:
            part[name] = {
                "per_second": round(1 / median(wall[name]), 2),
                "processor_ms": _ms(spent[name]),
                "processor_ratio": _ratio(spent[name], spent[OURS]),
                "faces": faces[name],
            }
    return part


@contextlib.contextmanager
def _or_error(part: Part, tool: Tool) -> Iterator[None]:
    """Record what a tool says when it fails."""
    try:
        yield
    except MienError as error:
        part[tool.name] = {"error": str(error)}


def _ratio(times: Sequence[float], ours: Sequence[float]) -> float:
    """Return how many times ours' time a tool takes, as the median over the turns."""
    return round(median(one / own for one, own in zip(times, ours, strict=True)), 3)


def _chosen(scores: Sequence[list[float] | None], numbers: Sequence[int | None]) -> NDArray[np.int64]:
    answers = [choose(one, numbers) for one in scores]
    return np.array([NO_ANSWER if number is None else number for number in answers], dtype=np.int64)


def _share(right: int, n: int) -> Part:
    low, high = wilson_interval(right / n, n)
    return {"right": right, "n": n, "accuracy": round(right / n, 4), "interval": [round(low, 4), round(high, 4)]}


def _ms(seconds: Sequence[float]) -> float:
    return round(1000 * median(seconds), 3)
