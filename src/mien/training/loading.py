"""Reading a recipe's data set. Does not import torch."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import DataError
from mien.data.dataset import FaceDataset
from mien.data.options import LoadOptions
from mien.data.protocols import divide
from mien.data.registry import expects, load, needs_path
from mien.recipes import Recipe


def load_data(recipe: Recipe, path: Path | None) -> FaceDataset:
    """Load a recipe's data set at its input size, divided by its protocol.

    Raises:
        DataError: The data set needs a path, cannot be read, or does not fit the protocol.
    """
    return divide(load_faces(recipe, path), recipe.data.make_protocol(recipe.training.seed))


def load_faces(recipe: Recipe, path: Path | None) -> FaceDataset:
    """Load a recipe's data set at its input size, in the data set's own splits.

    Raises:
        DataError: The data set needs a path or cannot be read.
    """
    check_data(recipe, path)
    return load(recipe.data.dataset, path, make_options(recipe))


def check_data(recipe: Recipe, path: Path | None) -> None:
    """Raise `DataError` if the recipe's data set needs a path and there is none."""
    if path is None and needs_path(recipe.data.dataset):
        name = recipe.data.dataset
        raise DataError(f"The recipe trains on the data set '{name}': name it with --data PATH ({expects(name)}).")


def make_options(recipe: Recipe) -> LoadOptions:
    """Return how a recipe's data set is read."""
    # the default seed: a validation split drawn here must be the one that `mien evaluate` draws
    return LoadOptions(
        image_size=recipe.network.input_size,
        channels=recipe.network.channels,
        crop=recipe.crop.make_spec(),
        frames=recipe.data.frames,
        use_lazy_images=recipe.training.workers > 0,
    )
