"""What a recipe changes for the data at hand: its data set by the files, its steps by the number of images."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.core.dotted import flatten
from mien.core.errors import DataError
from mien.core.text import count
from mien.data.registry import detect, expects, fits, is_built_in
from mien.recipes.loading import load_ablations, read_recipe
from mien.recipes.schema import Recipe

# With fewer steps an epoch, a recipe for many images is not followed to the letter.
FEW_STEPS = 20
SMALLEST_BATCH = 8
# Several threads spend more time waiting for each other than they save on a batch of this size.
ONE_THREAD_BATCH = 16
# At most this share of a run is warm-up.
WARMUP_SHARE = 0.2
# Averaged weights contain at most about this share of a run's steps.
AVERAGED_SHARE = 0.05
# Compiling takes as long as it saves in about as many steps.
COMPILED_STEPS = 2000
# Patience in steps, at least.
PATIENT_STEPS = 100
# The package's data sets with the votes of FER+'s annotators.
WITH_VOTES = ("fer2013", "ferplus")


@dataclass(frozen=True)
class Adapted:
    """A recipe that was adapted to the data, and one sentence for each change."""

    recipe: Recipe
    notes: tuple[str, ...] = ()


def chosen_settings(name_or_path: str, overrides: Iterable[str] = (), ablation: str | None = None) -> frozenset[str]:
    """Return the settings, as `training.batch_size`, that were chosen for this run and must not be adapted.

    These are the user's own: those of overrides, of an ablation and of a recipe in a file. A paper's are kept too, but
    for its data set.
    """
    content = read_recipe(name_or_path)
    chosen = {override.partition("=")[0].strip() for override in overrides}
    chosen |= flatten(load_ablations(name_or_path).get(ablation or "", {})).keys()
    if name_or_path.endswith(".toml"):
        chosen |= flatten(content).keys()
    elif content.get("paper"):
        chosen |= flatten(content).keys() - {"data.dataset"}
    return frozenset(chosen)


def adapt_dataset(recipe: Recipe, data: Path | None, chosen: Collection[str]) -> Adapted:
    """Return the recipe with the data set that the files hold, unless that was chosen.

    Raises:
        DataError: The path does not exist, or holds no data set.
    """
    settings, notes = recipe.data, []
    if data is not None and "data.dataset" not in chosen and not fits(settings.dataset, data):
        name = _detect(data, settings.dataset)
        notes.append(f"{data} holds the data set '{name}', not '{settings.dataset}'; training on it")
        settings = settings.model_copy(update={"dataset": name})
    lacks_votes = is_built_in(settings.dataset) and settings.dataset not in WITH_VOTES
    if settings.ferplus_weight and "data.ferplus_weight" not in chosen and lacks_votes:
        notes.append(f"'{settings.dataset}' has no votes of FER+'s annotators; training on its labels alone")
        settings = settings.model_copy(update={"ferplus_weight": 0.0})
    return Adapted(recipe.model_copy(update={"data": settings}), tuple(notes))


def _detect(data: Path, expected: str) -> str:
    """Return the data set that files hold; `DataError` says what the recipe's expects."""
    try:
        return detect(data)
    except DataError:
        raise DataError(
            f"{data} holds no data set. The recipe trains on '{expected}': {expects(expected)}. "
            "`mien data list` lists all layouts."
        ) from None


def adapt_steps(recipe: Recipe, images: int, chosen: Collection[str]) -> Adapted:
    """Return the recipe with settings for this number of training images.

    Under 20 steps an epoch, batches become smaller, and the learning rate with them: in proportion for SGD (Goyal et
    al. 2017), by the square root for others (Malladi et al. 2022). Batches of up to 16 use one thread, and the moving
    average is limited to a twentieth of the run. Whatever the number, warm-up is limited to a fifth of the run,
    patience is at least 100 steps, and a run of less than 2,000 steps is not compiled.
    """
    if images == 0:
        return Adapted(recipe)
    batch, notes = recipe.training.batch_size, []
    changes: dict[str, Any] = {}
    if images // batch < FEW_STEPS:
        changes |= _smaller_batches(recipe, images, chosen)
        size = changes.get("training.batch_size", batch)
        notes.append(_describe_steps(images, batch, size))
    changes |= _length_changes(recipe, max(images // changes.get("training.batch_size", batch), 1))
    changes = {key: value for key, value in changes.items() if key not in chosen}
    if changes:
        notes.append(f"for so few steps: {', '.join(f'{key}={_show(value)}' for key, value in changes.items())}")
    return Adapted(_replace(recipe, changes), tuple(notes))


def _describe_steps(images: int, batch: int, size: int) -> str:
    """Return how many steps an epoch has in batches of the recipe's size, and in those of the size that is used."""
    given, steps = count(images, "training image"), count(images // size, "step")
    if images < batch:
        few, many = f"{given} {'is' if images == 1 else 'are'} fewer than a batch of {batch}", f"{steps} an epoch"
    else:
        few, many = f"{given} give {count(images // batch, 'step')} an epoch in batches of {batch}", steps
    return few if size == batch else f"{few}; using batches of {size}: {many}"


def _smaller_batches(recipe: Recipe, images: int, chosen: Collection[str]) -> dict[str, Any]:
    """Return batch size, learning rate, threads and moving average for too few images; what was chosen stays."""
    training, optimizer = recipe.training, recipe.optimizer
    changes: dict[str, Any] = {}
    size, smaller = training.batch_size, _smaller_batch(images, training.processes)
    if smaller < size and "training.batch_size" not in chosen:
        share = smaller / size
        lr = optimizer.lr * (share if optimizer.name == "sgd" else math.sqrt(share))
        changes = {"training.batch_size": smaller, "optimizer.lr": float(f"{lr:.3g}")}
        size = smaller
    if size <= ONE_THREAD_BATCH and training.threads != 1:
        changes["training.threads"] = 1
    averaged = max(AVERAGED_SHARE * recipe.schedule.epochs * (images // size), 1)
    if training.ema_decay > 1 - 1 / averaged:
        changes["training.ema_decay"] = round(1 - 1 / averaged, 3)
    return changes


def _smaller_batch(images: int, processes: int) -> int:
    """Return the largest batch, a multiple of 4, that gives 20 steps; at least 8, and divisible by the processes."""
    size = max(images // FEW_STEPS // 4 * 4, min(SMALLEST_BATCH, images))
    return max(size - size % processes, processes, 2)


def _length_changes(recipe: Recipe, steps: int) -> dict[str, Any]:
    """Return what changes with the number of steps an epoch and of epochs."""
    schedule, training = recipe.schedule, recipe.training
    changes: dict[str, Any] = {}
    if schedule.warmup_epochs > WARMUP_SHARE * schedule.epochs:
        changes["schedule.warmup_epochs"] = round(WARMUP_SHARE * schedule.epochs, 2)
    if training.patience and training.patience * steps < PATIENT_STEPS:
        changes["training.patience"] = math.ceil(PATIENT_STEPS / steps)
    if training.use_compile and steps * schedule.epochs < COMPILED_STEPS:
        changes["training.use_compile"] = False
    return changes


def _replace(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    content = recipe.model_dump()
    for key, value in changes.items():
        group, name = key.split(".")
        content[group][name] = value
    return Recipe.model_validate(content)


def _show(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)
