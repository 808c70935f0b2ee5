"""A run folder: its files, and reading its selected weights. Needs torch, not Lightning."""

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
from mien.recipes.record import RECORD, START, RunRecord

RULES = {
    "best": "best epoch on {split} accuracy",
    "lowest-loss": "lowest loss on {split}",
    "last": "last epoch",
}
STARTED = "fitted classifier, as no epoch was clearly better on {split}"
PREFIX = "network."


@dataclass(frozen=True)
class Run:
    """A run: its folder, record and recipe, and the selected network in eval mode on the CPU."""

    folder: Path
    record: RunRecord
    recipe: Recipe
    network: Network

    @property
    def input(self) -> InputSpec:
        """What its network takes."""
        settings, record = self.recipe.network, self.record
        return InputSpec(settings.input_size, settings.channels, record.mean, record.std, record.is_grey)


def load_run(folder: Path) -> Run:
    """Load a run folder with its selected weights.

    Raises:
        MienError: The folder holds no run, or no epoch of it is completed.
    """
    if not (folder / RECORD).is_file():
        raise MienError(f"{folder} holds no run: {RECORD} is missing; name the --out of `mien train`.")
    record = RunRecord.load(folder / RECORD)
    recipe = parse_recipe(record.recipe, str(folder / RECORD))
    path = folder / record.checkpoint
    if not path.is_file():
        raise MienError(f"{folder} holds no completed epoch: {record.checkpoint} is missing; train it further.")
    checkpoint = load_checkpoint(path)
    network = create_network(recipe, len(record.labels))
    state = checkpoint["state_dict"]
    network.load_state_dict({k.removeprefix(PREFIX): v for k, v in state.items() if k.startswith(PREFIX)})
    epoch = int(checkpoint["epoch"])
    rule = STARTED if epoch == START else RULES[recipe.training.selection]
    record.selection = {"rule": rule.format(split=recipe.data.validation_split), "epoch": epoch}
    return Run(folder, record, recipe, network.eval())


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint as data, on the CPU; `MienError` if it is damaged or something else."""
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises almost anything on a damaged file
        raise MienError(f"{path} cannot be read ({type(error).__name__}); it is damaged or not a checkpoint.") from None
    return checkpoint


def create_network(recipe: Recipe, classes: int) -> Network:
    """Make the recipe's network for this number of labels, with one more output if it trains with non-faces."""
    return registry.create(
        recipe.network.name,
        num_classes=classes + bool(recipe.data.not_a_face_share),
        in_channels=recipe.network.channels,
        options=recipe.network.options,
        modulators=recipe.network.modulators,
    )


def run_card(run: Run) -> ModelCard:
    """Return a run's card with the scores and the calibration of its record."""
    record, recipe = run.record, run.recipe
    calibration = record.scores.get("calibration", {})
    return ModelCard(
        name=record.name,
        network=recipe.network.name,
        labels=LabelSet.of(record.labels),
        input=run.input,
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
    """Return the main scores, for a card and a ledger; all of them are in the run record."""
    keys = ("accuracy", "mean_class_accuracy", "macro_f1", "nll", "ece", "n")
    if not scores:
        return {}
    return {
        **{key: scores[key] for key in (*keys, "dataset", "split", "selection")},
        **{key: scores[key] for key in ("weights", "plain_argmax") if key in scores},
        "recall": {name: row["recall"] for name, row in scores["per_class"].items()},
        "without_duplicates": {key: scores["without_duplicates"][key] for key in keys},
    }
