"""What the benchmarks have in common: options, FER2013's faces, the detectors to compare, and writing records."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.hardware import processor_name
from mien.data import registry
from mien.data.dataset import FaceDataset
from mien.inference.detectors import Detector
from mien.inference.detectors.haar import Haar
from mien.inference.detectors.registry import AUTO, create_detector
from mien.inference.detectors.yunet import YuNet, find_weights


def make_parser(text: str | None, *, needs_data: bool = False) -> argparse.ArgumentParser:
    """Return a parser with --out and, if needed, --data; `text` describes the command."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="also write the record to this JSON file")
    if needs_data:
        parser.add_argument("--data", type=Path, required=True, help="FER2013's file or folder")
    return parser


def draw_faces_of(data: Path, split: str, count: int) -> FaceDataset:
    """Return faces of FER2013, drawn at random from a split, in the order of the file."""
    faces = registry.load("fer2013", data).split(split)
    return faces.subset(np.sort(np.random.default_rng(0).choice(len(faces), min(count, len(faces)), replace=False)))


def available_detectors() -> dict[str, Detector]:
    """Return mien's own face detector, YuNet if its file is there, and Haar, by name."""
    names = [AUTO, *([YuNet.name] if find_weights() else []), Haar.name]
    return {detector.name: detector for detector in map(create_detector, names)}


def write_record(record: Mapping[str, Any], out: Path | None) -> None:
    """Print a record, and write it to a file if there is one."""
    text = json.dumps(record, indent=1)
    print(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


def describe_runtime() -> dict[str, str]:
    """Return the processor's name and onnxruntime's version, for a record."""
    return {"cpu": processor_name(), "onnxruntime": version("onnxruntime")}
