"""The run record: one JSON file that says what was trained on what, how it went and what it scored."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mien
from mien.core.errors import MienError
from mien.core.expressions import output_names
from mien.core.upgrade import upgrade
from mien.core.whole_file import write_json

# Of a run folder.
RECORD = "record.json"
CHECKPOINTS = "checkpoints"
# The epoch of a run's start in a selection; others count from 0.
START = -1
# Raised when a key is renamed or changes its meaning. A new key with a default needs no new format.
FORMAT = 2


@dataclass
class RunRecord:
    """What a run writes into `record.json`.

    Attributes:
        name: The recipe's name.
        recipe: All settings.
        data: Name, fingerprint and counts of the data set, its protocol, and a hash of the targets.
        labels: The expressions, in order.
        parameters: Trainable numbers of the network.
        mean, std: Of the training pixels, as shares of 255.
        macs: Multiply-accumulates of one image in convolutions and linear layers of the folded network; 0: unknown.
        is_grey: The network has three channels, but no training image has colour.
        started: UTC, ISO 8601.
        minutes: Spent in epochs; every epoch counts once, however often the run was resumed.
        commit: Of the checkout, see `current_commit`.
        weights: The file that the run started from, its SHA-256 and notes; empty for random weights.
        teachers: Name, accuracy and hash of each network that was distilled.
        finished: False while epochs are left to run.
        selection: Rule and epoch of the selected weights; epochs count from 0, and -1 is the start of the run.
        curves: One point per epoch: epoch, train loss, validation accuracy, top-5 accuracy and loss, learning rate,
            minutes so far.
        scores: Of the scored split; empty until the run is published.
        explanations: What `mien faithfulness` measured, by data set and split.
        format: Version of this layout.
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
    format: int = FORMAT

    @property
    def checkpoint(self) -> str:
        """The file of the selected weights, relative to the run folder."""
        if self.selection.get("epoch") == START:
            return f"{CHECKPOINTS}/start.ckpt"
        selection = self.recipe.get("training", {}).get("selection", "best")
        return f"{CHECKPOINTS}/{'last' if selection == 'last' else 'best'}.ckpt"

    @property
    def outputs(self) -> tuple[str, ...]:
        """What the network's logits are of, in order."""
        return output_names(self.labels, rejects=bool(self.recipe.get("data", {}).get("not_a_face_share")))

    def save(self, path: Path) -> None:
        """Write the record in one step: a reader finds the old one or the new one, never half of it."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> RunRecord:
        """Read a record of this or an earlier format; keys that it lacks get their defaults.

        Raises:
            MienError: The file is not a run record, or a later version of mien wrote it.
        """
        names = {each.name for each in fields(cls)}
        try:
            content = upgrade(json.loads(path.read_text(encoding="utf-8")))
            record = cls(**{key: value for key, value in content.items() if key in names})
        except (ValueError, TypeError, AttributeError) as error:
            raise MienError(f"{path} is not a run record ({error}).") from None
        unknown = sorted(content.keys() - names)
        if unknown or record.format > FORMAT:
            keys = f" with unknown keys ({', '.join(unknown)})" if unknown else ""
            raise MienError(
                f"{path} is a run record of format {record.format}{keys}; this version of mien reads formats up to "
                f"{FORMAT}. Update mien."
            )
        record.format = FORMAT
        return record


def name_hardware(hardware: Mapping[str, Any]) -> str:
    """Return the name of the accelerator in a record's `hardware`, or of the processor if there is none."""
    accelerator = str(hardware.get("accelerator", ""))
    return str(hardware.get("processor", "")) if accelerator in {"", "cpu"} else accelerator


def current_commit() -> str:
    """Return the commit of the checkout that mien runs from, with a `+` if files were changed; "" if unknown."""
    git = ["git", "-C", str(Path(mien.__file__).parent)]
    try:
        commit, status = (
            subprocess.run([*git, *words], capture_output=True, text=True, check=True, timeout=10).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no", "--", "."])
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit + ("+" if status else "")


def now() -> str:
    """Return the present time in UTC, to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
