"""Where another tool is ahead of mien, from the record `peers`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lab.peers.tools import OURS

Part = Mapping[str, Any]


def is_ours(name: str) -> bool:
    """Whether a tool of the record is mien, with any of its models."""
    return name == OURS or name.startswith(f"{OURS}, ")


def find_behind(record: Mapping[str, Any]) -> list[str]:
    """Return a line for every measure on which another tool is ahead of `mien`, or not clearly behind in a share."""
    parts = record["parts"]
    others = [name for name in record["tools"] if not is_ours(name)]
    lines = [line for name in others for line in _shares(parts, name)]
    for name in others:
        for title, read in _amounts(record).items():
            own, other = read(OURS), read(name)
            if own is None or other is None or other >= own:
                continue
            best = min((value for each in record["tools"] if is_ours(each) and (value := read(each))), default=own)
            line = f"{title}: {name} needs {other / own:.2f} of {OURS}'s"
            lines.append(line + (f", {other / best:.2f} of the best of {OURS}'s models" if best < own else ""))
    return [*lines, *_refusals(parts["inputs"], others)]


def _shares(parts: Mapping[str, Part], name: str) -> Iterator[str]:
    """Compare shares by their intervals: ahead, or not clearly behind."""
    pairs = [
        (
            f"accuracy on crops ({'its public way' if way == 'public' else 'its best way'})",
            scored,
            parts["crops"][OURS]["public"],
        )
        for way, scored in parts["crops"][name].items()
    ]
    scenes = parts["scenes"]
    titles = {
        "found": "faces found",
        "right_of_all": "faces found and right",
        "right_among_found": "right among the faces found",
    }
    for key, title in titles.items():
        if scenes[name].get(key) and scenes[OURS].get(key):
            pairs.append((f"{title} in photographs", scenes[name][key], scenes[OURS][key]))
    for title, other, own in pairs:
        if other["accuracy"] > own["accuracy"]:
            yield f"{title}: {name} {_show(other)}, {OURS} {_show(own)}"
        elif other["interval"][1] >= own["interval"][0]:
            yield f"{title}: {name} {_show(other)} is not clearly behind {OURS} {_show(own)}"
    if "error" not in scenes[name] and scenes[name]["other_boxes"] < scenes[OURS]["other_boxes"]:
        yield f"other boxes in photographs: {name} {scenes[name]['other_boxes']}, {OURS} {scenes[OURS]['other_boxes']}"


def _amounts(record: Mapping[str, Any]) -> dict[str, Callable[[str], float | None]]:
    """Return measures of which less is better."""
    parts = record["parts"]

    def fastest(name: str) -> float | None:
        return min(timed["processor_ratio"] for timed in parts["face"][name].values())

    def of(part: str, key: str) -> Callable[[str], float | None]:
        return lambda name: parts[part][name].get(key)

    return {
        "processor time for one face": fastest,
        "processor time for an image of the folder": of("folder", "processor_ratio"),
        "processor time for a frame of the video": of("video", "processor_ratio"),
        "size on the disk": lambda name: record["tools"][name]["installed"]["mib"],
        "time to loaded models": of("start", "ready_seconds"),
        "time to the first result": of("start", "first_result_seconds"),
        "peak memory": of("start", "peak_mib"),
    }


def _refusals(inputs: Mapping[str, Part], others: list[str]) -> Iterator[str]:
    """Name the valid images that mien refuses and others take."""
    for kind, outcome in inputs[OURS].items():
        if kind in ("not an image", "empty file", "truncated file"):
            continue
        takers = [name for name in others if inputs[name][kind]["word"] in ("none", "face", "faces")]
        if outcome["word"] == "refused" and takers:
            verb = "take" if len(takers) > 1 else "takes"
            yield f"{kind}: {OURS} refuses the image, {' and '.join(takers)} {verb} it"


def _show(share: Part) -> str:
    return f"{100 * share['accuracy']:.1f} %"
