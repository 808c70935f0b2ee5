"""Training faces as tensors: in memory, or read from their files when needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


class Faces(Dataset[tuple[Tensor, Tensor]]):
    """All faces of one split: images (n, C, H, W) uint8 and targets (n, K) float32, indexed a batch at a time.

    On an accelerator they are uploaded once with `to`, and batches are cut there.
    """

    def __init__(self, images: Tensor, targets: Tensor) -> None:
        self.images, self.targets = images, targets

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        return self.images[row], self.targets[row]

    def __getitems__(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return a whole batch at once: the DataLoader then has nothing to collate."""
        index = torch.as_tensor(rows)
        if self.images.is_cuda:  # from pinned memory, so that the copy does not wait for earlier steps
            index = index.pin_memory().to(self.images.device, non_blocking=True)
        return self.images[index], self.targets[index]

    def images_between(self, start: int, stop: int) -> Tensor:
        """Return the images of consecutive rows."""
        return self.images[start:stop]

    def to(self, device: torch.device) -> Faces:
        """Return the same faces in the memory of a device."""
        return Faces(self.images.to(device), self.targets.to(device))


class FaceFiles(Dataset[tuple[Tensor, Tensor]]):
    """All faces of one split, left in their files: like `Faces`, but every batch is read and resized anew.

    Args:
        files: n images.
        targets: (n, K) float32.
        size: Side of the returned images, in pixels.
        channels: 1 (grey) or 3 (RGB).
    """

    def __init__(self, files: LazyImages, targets: Tensor, size: int, channels: int) -> None:
        self.files, self.targets, self.size, self.channels = files, targets, size, channels

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        images, targets = self.__getitems__([row])
        return images[0], targets[0]

    def __getitems__(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return a whole batch at once, like `Faces`."""
        images = _to_tensor((self.files[row] for row in rows), self.size, self.channels)
        return images, self.targets[torch.as_tensor(rows)]

    def images_between(self, start: int, stop: int) -> Tensor:
        """Return the images of consecutive rows, read by several threads."""
        return _to_tensor(np.asarray(self.files[start:stop]), self.size, self.channels)

    def to(self, device: torch.device) -> FaceFiles:
        """Return the faces themselves: batches are moved, not files."""
        return self


def make_faces(dataset: FaceDataset, recipe: Recipe, *, use_own_labels: bool = False) -> Faces | FaceFiles:
    """Resize a data set to the network's input and turn its labels into target distributions, see `make_targets`.

    Images that were left in their files stay there.

    Raises:
        DataError: The recipe uses FER+ votes and the data set has none.
    """
    size, channels = recipe.network.input_size, recipe.network.channels
    targets = torch.from_numpy(make_targets(dataset, recipe, use_own_labels=use_own_labels))
    images: object = dataset.images
    if isinstance(images, LazyImages):
        return FaceFiles(images, targets, size, channels)
    return Faces(_to_tensor(dataset.images, size, channels), targets)


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


def class_counts(faces: Faces | FaceFiles, recipe: Recipe) -> Tensor:
    """Return (K,) how many images each output has; soft targets count by their shares, made non-faces too."""
    counts = faces.targets.sum(dim=0)
    if recipe.data.not_a_face_share:
        counts[-1] += recipe.data.not_a_face_share * len(faces)
    return counts


def measure_input(faces: Faces | FaceFiles, recipe: Recipe) -> InputSpec:
    """Return the input specification: mean and deviation of the training pixels as shares of 255, and `is_grey`.

    Raises:
        DataError: All pixels are equal.
    """
    counts, has_colour = np.zeros(256), False
    for start in range(0, len(faces), FACES_PER_CHUNK):
        images = faces.images_between(start, start + FACES_PER_CHUNK).numpy()
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
