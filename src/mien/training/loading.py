"""Reading a recipe's data set. Does not import torch."""

from __future__ import annotations

from pathlib import Path

from mien.core.errors import DataError
from mien.core.text import listed
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


def check_images(recipe: Recipe, dataset: FaceDataset) -> None:
    """Raise `DataError` if there are too few images: a split has none, or fewer than two labels can be learned."""
    data, counts = recipe.data, dataset.counts()
    train = {label: images for label, images in counts.get(data.train_split, {}).items() if images}
    shown = listed([f"{label} {images}" for label, images in train.items()])
    if train and data.validation_split not in counts and max(train.values()) < 2:
        raise DataError(
            f"Data set '{dataset.name}' has one training image of each label ({shown}), and none for validation;"
            " expected 2 images of each label at least, and a few dozen for a useful model."
        )
    for split in (data.train_split, data.validation_split, data.scored_split):
        dataset.require_split(split)
    if len(train) < 2:
        raise DataError(
            f"Data set '{dataset.name}' has training images of one label only ({shown}); expected two or more."
        )


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
