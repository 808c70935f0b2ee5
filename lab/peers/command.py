"""`python -m lab peers`: install mien and its peers, measure them on the same images, write record and page.

python -m lab peers --data FER2013
python -m lab peers --data FER2013 --only folder --only video        # renew parts of the record
python -m lab peers --data FER2013 --download                        # also the tools whose weights are downloaded

The environments are kept in build/peers and used again; without a network, what is there is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab import ROOT, pages
from lab.benchmarks.drawn_clip import RATE
from lab.peers import material, measure
from lab.peers.plot import draw
from lab.peers.session import Session
from lab.peers.setup import FOLDER, count_plain, install
from lab.peers.tools import DOWNLOADED, HERE, Tool, ours
from mien.core.errors import MienError
from mien.core.hardware import processor_name

RECORD = ROOT / "results" / "peers.json"
FIGURE = ROOT / "docs" / "images" / "peers.png"


def make_parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    parser = argparse.ArgumentParser(
        prog="python -m lab peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="FER2013's file or folder")
    parser.add_argument("--model", action="append", default=[], help="another model of mien, name or file; repeatable")
    parser.add_argument("--download", action="store_true", help="also run the tools that download their weights")
    parser.add_argument("--plain", action="store_true", help="also ask pip what `pip install fer` brings; loads 4 GB")
    parser.add_argument("--only", action="append", choices=STEPS, help="measure this, and keep the rest of the record")
    parser.add_argument("--scenes", type=int, default=300, help="images with one pasted face [default: 300]")
    parser.add_argument("--images", type=int, default=1000, help="images in the folder [default: 1000]")
    parser.add_argument("--seconds", type=int, default=4, help="length of the video [default: 4]")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of start and video [default: 3]")
    parser.add_argument("--out", type=Path, default=RECORD, help="the record [default: results/peers.json]")
    return parser


def main(words: Sequence[str] | None = None) -> int:
    """Measure and write; 1 if nothing could be measured."""
    options = make_parser().parse_args(words)
    record = open_record(options.out, keep=bool(options.only))
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "home").mkdir(exist_ok=True)
    try:
        tools = _install_all(options, record)
        runner = Runner(options, tools)
        for name in options.only or STEPS:
            start = time.perf_counter()
            record["parts"][name] = getattr(runner, STEPS[name])()
            record["minutes"][name] = round((time.perf_counter() - start) / 60, 1)
            record["dates"][name] = datetime.now(UTC).date().isoformat()
            options.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            print(f"{name}: {record['minutes'][name]} minutes", flush=True)
    except MienError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if options.out == RECORD:
        draw(record, FIGURE)
        return pages.main([])
    return 0


class Runner:
    """The steps of the measurement, with what they need."""

    def __init__(self, options: argparse.Namespace, tools: Sequence[Tool]) -> None:
        self.options, self.tools = options, tools
        self.crops = material.read_crops(options.data)
        self.file = material.write_crops(FOLDER, self.crops)

    def crops_part(self) -> measure.Part:
        """Score the crops."""
        return measure.score_crops(self.tools, self.crops, self.file)

    def scenes_part(self) -> measure.Part:
        """Score faces that have to be found first."""
        paths, rows = material.write_scenes(FOLDER / "scenes", self.crops, self.options.scenes)
        return measure.score_scenes(self.tools, paths, self.crops.truth[rows])

    def face_part(self) -> measure.Part:
        """Time one face."""
        return measure.time_face(self.tools, self.file)

    def start_part(self) -> measure.Part:
        """Time the start."""
        return measure.start_tools(self.tools, material.write_portrait(FOLDER), self.options.rounds)

    def folder_part(self) -> measure.Part:
        """Time a folder of images."""
        paths, faces = material.write_folder(FOLDER / "images", self.crops, self.options.images)
        return measure.time_folder(self.tools, paths, faces, FOLDER)

    def video_part(self) -> measure.Part:
        """Time a video."""
        frames = RATE * self.options.seconds
        clip, raw = material.write_video(FOLDER, self.crops, frames)
        part = measure.time_video(self.tools, clip, raw, frames, self.options.rounds)
        raw.unlink()
        return part

    def inputs_part(self) -> measure.Part:
        """Try wrong inputs."""
        return measure.try_wrong_inputs(self.tools, material.write_wrong_inputs(FOLDER / "inputs"))


STEPS = {
    "crops": "crops_part",
    "scenes": "scenes_part",
    "face": "face_part",
    "start": "start_part",
    "folder": "folder_part",
    "video": "video_part",
    "inputs": "inputs_part",
}


def open_record(path: Path, *, keep: bool) -> dict[str, Any]:
    """Return the record to fill, with the machine's description.

    Args:
        path: The record, if there is one already.
        keep: Keep its measurements; what an ordinary installation brings is kept in any case.
    """
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    record: dict[str, Any] = {"parts": {}, "minutes": {}, "dates": {}, "plain_install": old.get("plain_install", {})}
    record |= old if keep else {}
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False)  # noqa: S607
    machine = {"cpu": processor_name(), "cores": os.cpu_count(), "python": platform.python_version()}
    return record | {"dataset": "fer2013", "split": material.SPLIT, "machine": machine | {"node": node.stdout.strip()}}


def _install_all(options: argparse.Namespace, record: dict[str, Any]) -> list[Tool]:
    """Install and start every tool once; return those that run, and record the others with the reason."""
    wanted = [*HERE[:3], *map(ours, options.model), *HERE[3:]]
    record["tools"], record["skipped"], running = {}, {}, []
    for tool in (*wanted, *DOWNLOADED):
        if tool in DOWNLOADED and not options.download:
            reason = f"its weights come from {tool.downloads}, not from a package registry; --download runs it"
            record["skipped"][tool.name] = reason
            continue
        try:
            installed = install(tool)
            with Session(tool) as session:
                version, labels = session.hello["version"], session.labels
        except MienError as error:
            record["skipped"][tool.name] = str(error)
            continue
        about = {"version": version, "uses": tool.uses, "ways": tool.ways, "trained_on": tool.trained_on}
        record["tools"][tool.name] = about | {"labels": labels, "installed": installed}
        running.append(tool)
    if not running or running[0].name != HERE[0].name:
        raise MienError(f"mien itself could not be run: {record['skipped'].get(HERE[0].name)}")
    if options.plain:
        record["plain_install"] = look_up_plain_install(record["tools"])
    return running


def look_up_plain_install(tools: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `pip install fer` would bring, from pip itself; nothing if fer was not run or pip fails."""
    version = tools.get("fer", {}).get("version")
    if version is None:
        return {}
    python = FOLDER / "plain" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
    words = [str(python), "-m", "pip", "install", "--dry-run", "--disable-pip-version-check", f"fer=={version}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return {} if done.returncode else {"fer": count_plain(done.stdout)}
