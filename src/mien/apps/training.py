"""What `mien train` and `mien experiment` have in common: settling the recipe for the data, and saying what starts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mien.core.text import count

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.recipes import Recipe


# Of an experiment with a recipe that has no folds: each trains on three fifths.
FOLDS = 5


@dataclass(frozen=True)
class Choices:
    """What the user asked for beside the recipe: `overrides` (`key.subkey=value`), an ablation and data."""

    recipe: str
    overrides: tuple[str, ...]
    ablation: str | None
    data: Path | None


def gather_overrides(  # noqa: PLR0913 - one per option
    settings: Sequence[str] | None,
    *,
    dataset: str | None = None,
    weights: str | None = None,
    epochs: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
) -> tuple[str, ...]:
    """Return the short options and `--set` as overrides; `--set` comes last."""
    short = {
        "data.dataset": dataset,
        "weights": weights,
        "schedule.epochs": epochs,
        "optimizer.lr": lr,
        "training.seed": seed,
    }
    words = [f"{key}={json.dumps(value)}" for key, value in short.items() if value is not None]
    return (*words, *(settings or ()))


def settle(choices: Choices) -> Recipe:
    """Read the recipe, and name its data set by the files; all that can be wrong without torch is found here.

    Raises:
        MienError: The recipe, an override, the data or the weights do not exist or do not fit.
    """
    from mien.recipes import load_recipe
    from mien.recipes.adaptation import adapt_dataset
    from mien.recipes.weights import find_weights
    from mien.training.loading import check_data

    recipe = load_recipe(choices.recipe, choices.overrides, choices.ablation)
    adapted = adapt_dataset(recipe, choices.data, _chosen(choices))
    check_data(adapted.recipe, choices.data)
    if recipe.weights:
        find_weights(recipe.weights)
    show_notes(adapted.notes)
    return adapted.recipe


def settle_overrides(choices: Choices, *, folds: bool) -> tuple[str, ...]:
    """Return the overrides of an experiment: the user's, the data set's name, and folds for a recipe without any.

    `folds`: every fold is asked for. A paper's protocol stays as it is.
    """
    from mien.recipes import load_recipe

    settled, asked = settle(choices), load_recipe(choices.recipe, choices.overrides).data
    found = {key: getattr(settled.data, key) for key in ("dataset", "ferplus_weight")}
    changes: dict[str, object] = {key: value for key, value in found.items() if value != getattr(asked, key)}
    if folds and settled.data.protocol == "official" and not settled.paper:
        changes |= {"protocol": "k-fold", "folds": FOLDS}
        show_notes([f"the recipe has no folds; using {FOLDS}, with the splits of the data pooled"])
    return (*choices.overrides, *(f"data.{key}={json.dumps(value)}" for key, value in changes.items()))


def settle_steps(recipe: Recipe, dataset: FaceDataset, choices: Choices) -> Recipe:
    """Return the recipe with settings for its number of training images, and print what changed.

    Raises:
        DataError: There are too few images.
    """
    from mien.core.expressions import misspelt
    from mien.recipes.adaptation import adapt_steps
    from mien.training.loading import check_images

    check_images(recipe, dataset)
    images = int((dataset.splits == recipe.data.train_split).sum())
    # a recipe without files was written for the images that it makes
    adapted = adapt_steps(recipe, images if choices.data else 0, _chosen(choices))
    near = misspelt(dataset.label_set.names).items()
    misspelt_notes = (f"label '{name}' is not '{other}'; is it misspelt?" for name, other in near)
    lacking = (
        f"label '{name}' has no images in {split}"
        for split in dict.fromkeys((recipe.data.train_split, recipe.data.validation_split))
        for name, number in dataset.counts()[split].items()
        if not number
    )
    show_notes((*dataset.notes, *lacking, *misspelt_notes, *adapted.notes))
    return adapted.recipe


def show_start(recipe: Recipe, dataset: FaceDataset, data: Path | None, folder: Path) -> None:
    """Print what is trained on what: images, splits, steps and device."""
    from mien.training.hardware import describe_hardware

    counts = dataset.counts()
    train = counts.get(recipe.data.train_split, {})
    images, steps = sum(train.values()), sum(train.values()) // recipe.training.batch_size
    held_out = sum(counts.get(recipe.data.validation_split, {}).values())
    labels = ", ".join(f"{name} {number}" for name, number in train.items())
    hardware = describe_hardware()
    threads = recipe.training.threads or hardware["threads"]
    on_cpu = hardware["accelerator"] == "cpu"
    device = f"the CPU with {count(threads, 'thread')}" if on_cpu else hardware["accelerator"]
    typer.echo(
        f"{data or dataset.name}: {count(images, 'training image')} ({labels}), {held_out:,} for validation\n"
        f"{folder}: {count(recipe.schedule.epochs, 'epoch')} of {count(steps, 'step')} in batches of "
        f"{recipe.training.batch_size}, from {recipe.weights or 'random'} weights, on {device}",
        err=True,
    )


def show_notes(notes: Sequence[str]) -> None:
    """Print notes on standard error, one line each."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def _chosen(choices: Choices) -> frozenset[str]:
    from mien.recipes.adaptation import chosen_settings

    return chosen_settings(choices.recipe, choices.overrides, choices.ablation)
