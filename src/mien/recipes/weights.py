"""What a training starts from: the shipped model's weights, a run folder or a file. Does not import torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from mien.core.errors import ModelError, did_you_mean
from mien.recipes.record import CHECKPOINTS, RECORD, RunRecord

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class WeightsFile:
    """A weights file, and what its classifier's rows are of, in order; empty if that is unknown or in the file."""

    path: Path
    outputs: tuple[str, ...] = ()


def find_weights(source: str) -> WeightsFile:
    """Return the file that a name, a run folder or a path means.

    Args:
        source: `default` for the shipped model's weights, a run folder for its selected epoch, or a file: safetensors,
            torch's, or a checkpoint of a run.

    Raises:
        MienError: There is no such file, or a run folder has no completed epoch.
    """
    path = Path(source)
    assets = Path(str(resources.files("mien"))) / "assets"
    names = [file.stem for file in assets.glob(f"*{SUFFIX}")]
    if source in names:
        return WeightsFile(assets / f"{source}{SUFFIX}")
    if path.is_dir():
        return _of_run(path)
    if not path.is_file():
        raise ModelError(
            f"No weights '{source}'.{did_you_mean(source, names)} Expected {', '.join(names) or 'the name of a file'}, "
            "a run folder, or a file (.safetensors, torch's, a run's checkpoint)."
        )
    if path.suffix.lower() == ".onnx":
        raise ModelError(
            f"{source} is a model file, whose layers are merged for recognition; start from its run folder, or from "
            f"{' or '.join(names)}."
        )
    record = path.parent.parent / RECORD
    if path.parent.name == CHECKPOINTS and record.is_file():
        return WeightsFile(path, RunRecord.load(record).outputs)
    return WeightsFile(path)


def _of_run(folder: Path) -> WeightsFile:
    if not (folder / RECORD).is_file():
        raise ModelError(f"{folder} holds no run: {RECORD} is missing; name the --out of `mien train`.")
    record = RunRecord.load(folder / RECORD)
    path = folder / record.checkpoint
    if not path.is_file():
        raise ModelError(f"{folder} holds no completed epoch: {record.checkpoint} is missing; train it further.")
    return WeightsFile(path, record.outputs)
