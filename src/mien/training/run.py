"""A run folder: where its files lie, and how its selected weights are read again. Needs torch, not Lightning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import mien
from mien.core.card import InputSpec, ModelCard
from mien.core.errors import MienError
from mien.core.expressions import LabelSet
from mien.models import registry
from mien.models.network import Network
from mien.recipes import Recipe, parse_recipe
from mien.recipes.record import RECORD, RunRecord

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, its record and the selected network in eval mode on the CPU."""

    folder: Path
    record: RunRecord
    network: Network


def load_run(folder: Path) -> Run:
    """Load the selected weights of a run folder: its record and the network, in eval mode.

    Raises:
        MienError: The folder holds no run, or none that finished an epoch.
    """
    if not (folder / RECORD).is_file():
        raise MienError(f"{folder} holds no run: {RECORD} is missing.")
    record = RunRecord.load(folder / RECORD)
    recipe = parse_recipe(record.recipe, str(folder / RECORD))
    best = recipe.training.selection == "best"
    path = folder / CHECKPOINTS / ("best.ckpt" if best else "last.ckpt")
    if not path.is_file():
        raise MienError(f"{folder} holds no finished epoch: {CHECKPOINTS}/{path.name} is missing.")
    checkpoint = load_checkpoint(path)
    network = create_network(recipe, len(record.labels))
    prefix = "network."
    state = checkpoint["state_dict"]
    network.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    record.selection = {
        "rule": f"best epoch on {recipe.data.validation_split} accuracy" if best else "last epoch",
        "epoch": int(checkpoint["epoch"]),
    }
    return Run(folder, record, network.eval())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as data, on the CPU; `MienError` when it is damaged or something else."""
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise errors of almost any kind
        raise MienError(f"{path} cannot be read ({type(error).__name__}); it is damaged or no checkpoint.") from None
    return checkpoint


def create_network(recipe: Recipe, classes: int) -> Network:
    """Make the recipe's network, with one more output when it learns what is not a face."""
    return registry.create(
        recipe.network.name,
        num_classes=classes + bool(recipe.data.not_a_face_share),
        in_channels=recipe.network.channels,
        options=recipe.network.options,
        modulators=recipe.network.modulators,
    )


def input_spec(record: RunRecord, recipe: Recipe) -> InputSpec:
    """Return what a run's network takes."""
    settings = recipe.network
    return InputSpec(settings.input_size, settings.channels, record.mean, record.std, record.is_grey)


def run_card(run: Run) -> ModelCard:
    """Return a run's card with the scores and the calibration of its record."""
    record = run.record
    recipe = parse_recipe(record.recipe, str(run.folder))
    calibration = record.scores.get("calibration", {})
    return ModelCard(
        name=record.name,
        network=recipe.network.name,
        labels=LabelSet.of(record.labels),
        input=input_spec(record, recipe),
        crop=recipe.crop.make_spec(),
        paper=recipe.paper,
        recipe=record.recipe,
        scores=brief_scores(record.scores),
        reject_threshold=calibration.get("reject_threshold", 0.5) if recipe.data.not_a_face_share else None,
        temperature=calibration.get("temperature", 1.0),
        unsure_threshold=calibration.get("unsure_threshold"),
        version=mien.__version__,
    )


def brief_scores(scores: dict[str, Any]) -> dict[str, Any]:
    """Keep in the card what a user of the file asks first; the rest stands in the run record."""
    keys = ("accuracy", "mean_class_accuracy", "macro_f1", "nll", "ece", "n")
    if not scores:
        return {}
    return {
        **{key: scores[key] for key in (*keys, "dataset", "split", "selection")},
        **({"weights": scores["weights"]} if "weights" in scores else {}),
        "recall": {name: row["recall"] for name, row in scores["per_class"].items()},
        "without_duplicates": {key: scores["without_duplicates"][key] for key in keys},
    }
