"""A detector's run folder: reading its selected weights. Needs torch, not Lightning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from mien.core.errors import MienError
from mien.models.face_detector import FaceDetector
from mien.recipes import DetectorRecipe, parse_detector_recipe
from mien.recipes.record import CHECKPOINTS, RECORD, RunRecord
from mien.training.run import load_checkpoint

PREFIX = "network."


@dataclass(frozen=True)
class DetectorRun:
    """A run: its folder, record and recipe, and the selected network in eval mode on the CPU."""

    folder: Path
    record: RunRecord
    recipe: DetectorRecipe
    network: FaceDetector


def load_detector_run(folder: Path) -> DetectorRun:
    """Load a detector's run folder with its selected weights.

    Raises:
        MienError: The folder holds no run of a detector, or no epoch of it is completed.
    """
    if not (folder / RECORD).is_file():
        raise MienError(f"{folder} holds no run: {RECORD} is missing; name the --out of `mien train`.")
    record = RunRecord.load(folder / RECORD)
    recipe = parse_detector_recipe(record.recipe, str(folder / RECORD))
    is_best = recipe.training.selection == "best"
    path = folder / CHECKPOINTS / ("best.ckpt" if is_best else "last.ckpt")
    if not path.is_file():
        raise MienError(f"{folder} holds no completed epoch: {CHECKPOINTS}/{path.name} is missing; train it further.")
    network = create_detector_network(recipe)
    epoch = load_own_weights(network, path)
    rule = f"best epoch on average precision in {recipe.scenes.validation} scenes" if is_best else "last epoch"
    record.selection = {"rule": rule, "epoch": epoch}
    return DetectorRun(folder, record, recipe, network.eval())


def create_detector_network(recipe: DetectorRecipe) -> FaceDetector:
    """Make the recipe's network."""
    settings = recipe.network
    return FaceDetector(settings.stem, settings.width, settings.kernels)


def load_own_weights(network: nn.Module, path: Path) -> int:
    """Load the weights of a detector's checkpoint, and return its epoch.

    Raises:
        MienError: The file is damaged, no checkpoint, or of another network.
    """
    checkpoint = load_checkpoint(path)
    state = checkpoint.get("state_dict", {})
    own = {name.removeprefix(PREFIX): value for name, value in state.items() if name.startswith(PREFIX)}
    try:
        network.load_state_dict(own)
    except RuntimeError:
        raise MienError(f"{path} does not fit the recipe's network; name a checkpoint of the same recipe.") from None
    return int(checkpoint["epoch"])
