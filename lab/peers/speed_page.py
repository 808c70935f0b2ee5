"""The parts of docs/results/peers.md on time, size and start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.markdown import make_paragraph, make_table
from lab.peers.tools import OURS

Part = Mapping[str, Any]
NOT_MEASURED = "-"


def show_ratio(value: float) -> str:
    """Return a ratio with two significant digits at least."""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def make_speed(parts: Mapping[str, Part]) -> list[str]:
    """Return the sections on the time for a face, an image and a frame."""
    rows = [
        [
            name,
            "public" if way == "public" else "best",
            f"{timed['processor_ms']:.2f}",
            show_ratio(timed["processor_ratio"]),
        ]
        for name, ways in parts["face"].items()
        for way, timed in ways.items()
    ]
    header = ["tool", "way", "milliseconds", "ratio"]
    folder, video = parts["folder"], parts["video"]
    return [
        "## Time for one face",
        "",
        f"Processor time for one cropped face on one thread; ratios are multiples of {OURS}'s time.",
        "",
        *make_table(header, rows),
        "## A folder and a video",
        "",
        *make_paragraph(
            f"{folder[OURS]['images']:,} JPEG files of up to 640 pixels with {folder[OURS]['pasted']:,} pasted faces,",
            "recognized one by one into CSV files; and a video of",
            f"{video[OURS]['frames']} frames of 1280 x 720 pixels with three faces.",
            "Each tool uses as many threads as it does by default.",
            "face-api and human do not read videos in Node.js, so they get decoded frames.",
            f"fer looks for faces in every frame, {OURS} in every third and follows them in between, human where the",
            f"image has changed. Ratios are multiples of {OURS}'s time for an image or frame.",
        ),
        *_rates("folder", "images/s", folder),
        *_rates("video", "frames/s", video),
    ]


def _rates(title: str, unit: str, part: Part) -> list[str]:
    rows = [
        [name, timed["error"], *[NOT_MEASURED] * 3]
        if "error" in timed
        else [
            name,
            f"{1000 / timed['processor_ms']:.1f}",
            show_ratio(timed["processor_ratio"]),
            f"{timed['per_second']:.1f}",
            f"{timed['faces']:,}",
        ]
        for name, timed in part.items()
    ]
    return make_table([title, f"{unit} of processor time", "time, ratio", f"{unit}, wall clock", "faces found"], rows)


def make_start(part: Part, tools: Mapping[str, Part], plain: Mapping[str, Part]) -> list[str]:
    """Return the section on size, start and memory.

    Args:
        part: The part `start` of the record.
        tools: The tools of the record.
        plain: What an ordinary installation would bring, by tool.
    """
    rows = []
    for name, tool in tools.items():
        installed, started = tool["installed"], part[name]
        largest = ", ".join(f"{key} {value:,.0f}" for key, value in list(installed["largest"].items())[:3])
        rows.append(
            [
                name,
                f"{installed['mib']:,.0f} MiB",
                str(installed["packages"]),
                largest,
                f"{started['ready_seconds']:.1f} s",
                f"{started['first_result_seconds']:.1f} s",
                f"{started['peak_mib']:,.0f} MiB",
            ]
        )
    header = [
        "tool",
        "installed",
        "packages",
        "largest parts, MiB",
        "imported and loaded",
        "first result",
        "peak memory",
    ]
    notes = [line for name, one in plain.items() for line in _describe_plain(name, one)]
    return [
        "## Size and start",
        "",
        *make_paragraph(
            "Installed: what the tool and its dependencies take on the disk, without Python or Node.js.",
            "Start: a fresh process up to loaded models, and up to the faces of a first portrait (512 x 512 pixels);",
            "peak memory of that process. The start is wall-clock time: compare, do not quote.",
            "face-api and human include TensorFlow.js and an image decoder, because they run in Node.js here.",
        ),
        *make_table(header, rows),
        *notes,
    ]


def _describe_plain(name: str, one: Part) -> list[str]:
    nvidia = [package for package in one["notable"] if package.startswith("nvidia")]
    others = ", ".join(package for package in one["notable"] if package not in nvidia)
    return make_paragraph(
        f"An ordinary `pip install {name}` would download {one['download_mb']:,} MB in {one['packages']} packages,",
        f"with {others} and {len(nvidia)} packages of NVIDIA's.",
        "Here it got the leanest environment in which its public calls work.",
    )
