"""Training faces as tensors: in memory, or read from their files when needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mien.core.card import InputSpec
from mien.core.errors import DataError
from mien.core.image import resize_face
from mien.data.dataset import FaceDataset
from mien.data.lazy_images import LazyImages
from mien.recipes import Recipe

# Faces per step of a pass over all of them.
FACES_PER_CHUNK = 1024


class ImageFiles:
    """Images (n, C, size, size) uint8 that are read from their files and resized whenever they are indexed.

    Args:
        files: n images of any size.
        size: Side of the returned images, in pixels.
        channels: 1 (grey) or 3 (RGB).
    """

    is_cuda = False

    def __init__(self, files: LazyImages, size: int, channels: int) -> None:
        self.files, self.size, self.channels = files, size, channels

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Read images by their numbers (m,), or consecutive ones, which several threads read."""
        if isinstance(rows, slice):
            return _to_tensor(np.asarray(self.files[rows]), self.size, self.channels)
        return _to_tensor((self.files[row] for row in rows.tolist()), self.size, self.channels)


class Batched(Protocol):
    """Images that are not in memory: n of them, read by their numbers (m,) or consecutive ones."""

    is_cuda: bool

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any) -> Tensor: ...


class Faces(Dataset[tuple[Tensor, ...]]):
    """All faces of one split: images (n, C, H, W) uint8 and targets (n, K) float32, indexed a batch at a time.

    Images in memory are uploaded once to an accelerator with `to`, and batches are cut there.
    """

    views = 1
    """Stored views of each image; see `mien.training.reinforcement`."""

    def __init__(self, images: Tensor | Batched, targets: Tensor) -> None:
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitems__(self, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """Return a whole batch at once: the DataLoader then has nothing to collate."""
        index = torch.as_tensor(rows)
        if self.images.is_cuda:  # from pinned memory, so that the copy does not wait for earlier steps
            index = index.pin_memory().to(self.targets.device, non_blocking=True)
        return self.images[index], self.targets[index]

    def to(self, device: torch.device) -> Faces:
        """Return the same faces in the memory of a device; lazy ones as they are, because their batches are moved."""
        return Faces(self.images.to(device), self.targets.to(device)) if isinstance(self.images, Tensor) else self


def make_faces(dataset: FaceDataset, recipe: Recipe, *, use_own_labels: bool = False) -> Faces:
    """Resize a data set to the network's input and turn its labels into target distributions, see `make_targets`.

    Images that were left in their files stay there.

    Raises:
        DataError: The recipe uses FER+ votes and the data set has none.
    """
    size, channels = recipe.network.input_size, recipe.network.channels
    targets = torch.from_numpy(make_targets(dataset, recipe, use_own_labels=use_own_labels))
    images: Any = dataset.images
    if isinstance(images, LazyImages):
        return Faces(ImageFiles(images, size, channels), targets)
    return Faces(_to_tensor(images, size, channels), targets)


def make_targets(dataset: FaceDataset, recipe: Recipe, *, use_own_labels: bool = False) -> NDArray[np.float32]:
    """Return the target distributions (n, K) float32; each row sums to 1.

    There is one more column than labels if the recipe trains with non-faces; rows that the annotators call "not a
    face" then have all their mass there. `use_own_labels`: each row is the data set's label and nothing else, for
    validation.
    """
    classes = len(dataset.label_set)
    targets = np.eye(classes, dtype=np.float32)[dataset.labels]
    weight = recipe.data.ferplus_weight
    if weight and not use_own_labels:
        if dataset.votes is None:
            raise DataError(
                "The recipe uses FER+ votes, and the data set has none: put fer2013new.csv beside fer2013.csv, or add "
                "--set data.ferplus_weight=0."
            )
        targets = (1 - weight) * targets + weight * dataset.votes
    if recipe.data.not_a_face_share:
        targets = np.pad(targets, ((0, 0), (0, 1)))
        if dataset.is_face is not None and not use_own_labels:
            targets[~dataset.is_face] = np.eye(classes + 1, dtype=np.float32)[classes]
    return targets.astype(np.float32)


def class_counts(faces: Faces, recipe: Recipe) -> Tensor:
    """Return (K,) how many images each output has, synthetic non-faces included; soft targets count by their shares."""
    counts = faces.targets.sum(dim=0)
    if recipe.data.not_a_face_share:
        counts[-1] += recipe.data.not_a_face_share * len(faces)
    return counts


def measure_input(faces: Faces, recipe: Recipe) -> InputSpec:
    """Return the input specification: mean and deviation of the training pixels as shares of 255, and `is_grey`.

    Raises:
        DataError: All pixels are equal.
    """
    counts, has_colour = np.zeros(256), False
    for start in range(0, len(faces), FACES_PER_CHUNK):
        images = faces.images[start : start + FACES_PER_CHUNK].numpy()
        counts += np.bincount(images.reshape(-1), minlength=256)
        has_colour = has_colour or bool((images != images[:, :1]).any())
    levels = np.arange(256) / 255
    mean = float(counts @ levels / counts.sum())
    std = float(np.sqrt(counts @ (levels - mean) ** 2 / counts.sum()))
    if std == 0:
        raise DataError("All training images are the same flat colour; there is nothing to learn.")
    size, channels = recipe.network.input_size, recipe.network.channels
    return InputSpec(size, channels, round(mean, 6), round(std, 6), is_grey=channels == 3 and not has_colour)


def _to_tensor(images: Iterable[NDArray[np.uint8]], size: int, channels: int) -> Tensor:
    """Return images of any size as (n, C, size, size) uint8."""
    batch = np.stack([resize_face(image, size, channels) for image in images])
    batch = batch[:, None] if channels == 1 else batch.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(batch))
