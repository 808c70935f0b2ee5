"""The run record: one JSON file that says what was run on what, how it went and what came out."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

import mien
from mien.core.errors import MienError
from mien.core.hardware import processor_name
from mien.core.upgrade import upgrade
from mien.core.whole_file import write_whole


@dataclass
class RunRecord:
    """What a run leaves behind, besides weights.

    `curves` holds one dict an epoch (epoch, train loss, validation accuracy and loss, learning rate, minutes in epochs
    so far). `minutes` counts every epoch once, however often a run was resumed. `weights` names the file that the run
    started from, its SHA-256 and what was adapted; empty when it started from scratch.
    `macs` are the multiply-accumulates of one image: convolutions and linear layers of the folded network; 0 where they
    could not be counted.
    `is_grey`: the network has three channels, but no training picture has colour. `finished` is false while epochs are
    left to run.
    `teachers` names what it learnt from besides the labels, with their accuracies. `explanations` holds what
    `mien faithfulness` measured, by data set and split.
    """

    name: str
    recipe: dict[str, Any]
    data: dict[str, Any]
    labels: list[str]
    parameters: int
    mean: float
    std: float
    macs: int = 0
    is_grey: bool = False
    started: str = ""
    minutes: float = 0.0
    commit: str = ""
    version: str = mien.__version__
    hardware: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)
    teachers: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False
    selection: dict[str, Any] = field(default_factory=dict)
    curves: list[dict[str, float]] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    explanations: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the record in one step: a reader finds the old one or the new one, never half of it."""
        write_whole(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Read a record that `save` wrote; `MienError` when it is something else."""
        try:
            return cls(**upgrade(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, TypeError) as error:
            raise MienError(f"{path} is not a run record ({error}).") from None


def describe_hardware(accelerator: str) -> dict[str, Any]:
    """Name the processor, the cores in use, the accelerator and the versions that decide speed and rounding."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if accelerator == "cuda" else accelerator,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def current_commit() -> str:
    """Return the commit of the source tree that mien runs from, `+` behind it when changed; empty if unknown."""
    folder = Path(mien.__file__).parent
    git = ["git", "-C", str(folder)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=10)
        status = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no", "--", "."],
            capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit.stdout.strip() + ("+" if status.stdout.strip() else "")


def now() -> str:
    """Return the present time in UTC, to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
