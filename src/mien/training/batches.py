"""Training faces as tensors in memory, handed out in whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from mien.core.errors import DataError
from mien.core.image import resize_face
from mien.data.dataset import FaceDataset
from mien.data.registry import LoadOptions, load
from mien.training.recipe import Recipe


def load_data(recipe: Recipe, path: Path | None) -> FaceDataset:
    """Load the data set that a recipe names, at its input size.

    Raises:
        DataError: The data set needs a path and none was given, or it cannot be read.
    """
    if path is None and recipe.data.dataset != "synthetic":
        raise DataError(f"The recipe trains on {recipe.data.dataset}: name its folder with --data DIR.")
    # the default seed: a validation split drawn here must be the one that `mien evaluate` draws
    options = LoadOptions(image_size=recipe.network.input_size, channels=recipe.network.channels)
    return load(recipe.data.dataset, path, options)


class Faces(Dataset[tuple[Tensor, Tensor]]):
    """All faces of one split: images (n, C, H, W) uint8 and targets (n, K) float32, indexed a batch at a time."""

    def __init__(self, images: Tensor, targets: Tensor) -> None:
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.images[row], self.targets[row]

    def __getitems__(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return a whole batch at once: the DataLoader then has nothing to collate."""
        index = torch.as_tensor(rows)
        return self.images[index], self.targets[index]


def make_faces(dataset: FaceDataset, recipe: Recipe) -> Faces:
    """Bring a data set to the network's input size and its labels to target distributions.

    The targets have one more column than labels when the recipe trains with non-faces; rows that the annotators call
    "not a face" then have all their mass there.

    Raises:
        DataError: The recipe wants FER+ votes and the data set has none.
    """
    size, channels = recipe.network.input_size, recipe.network.channels
    images = np.stack([resize_face(image, size, channels) for image in dataset.images])
    images = images[:, None] if channels == 1 else images.transpose(0, 3, 1, 2)
    return Faces(torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(make_targets(dataset, recipe)))


def make_targets(dataset: FaceDataset, recipe: Recipe) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return the target distributions (n, K) float32, each row summing to 1."""
    classes = len(dataset.label_set)
    own = np.eye(classes, dtype=np.float32)[dataset.labels]
    weight = recipe.data.ferplus_weight
    if weight:
        if dataset.votes is None:
            raise DataError(
                "The recipe wants FER+ votes: put fer2013new.csv beside fer2013.csv, or use "
                "--set data.ferplus_weight=0."
            )
        own = (1 - weight) * own + weight * dataset.votes
    if recipe.data.not_a_face_share:
        own = np.pad(own, ((0, 0), (0, 1)))
        if dataset.is_face is not None:
            own[~dataset.is_face] = np.eye(classes + 1, dtype=np.float32)[classes]
    return own.astype(np.float32)


def training_loader(faces: Faces, recipe: Recipe) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return shuffled full batches whose order depends on the recipe's seed and the epoch alone."""
    sampler: DistributedSampler[tuple[Tensor, Tensor]] = DistributedSampler(
        faces, num_replicas=1, rank=0, shuffle=True, seed=recipe.training.seed
    )
    size = recipe.training.batch_size
    if len(faces) < size:
        raise DataError(f"{len(faces)} training faces are fewer than one batch of {size}; lower training.batch_size.")
    return DataLoader(faces, size, sampler=sampler, drop_last=True, collate_fn=_as_is)


def validation_loader(faces: Faces) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the faces in their order, all of them."""
    return DataLoader(faces, 256, collate_fn=_as_is)


def _as_is(batch: Any) -> Any:
    """Pass on what `Faces.__getitems__` has collated already."""
    return batch
