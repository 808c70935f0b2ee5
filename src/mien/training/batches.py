"""Training faces as tensors, in memory or read when needed, handed out in whole batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import cv2
import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mien.core.errors import DataError
from mien.core.image import resize_face
from mien.data.dataset import FaceDataset
from mien.data.lazy_images import LazyImages
from mien.data.options import LoadOptions
from mien.data.protocols import divide
from mien.data.registry import load, needs_path
from mien.recipes import Recipe
from mien.training.sampling import FaceSampler

VALIDATION_BATCH = 256
# Faces looked at together where all of them are gone through before training.
FACES_PER_CHUNK = 1024


def load_data(recipe: Recipe, path: Path | None) -> FaceDataset:
    """Load the data set that a recipe names, at its input size and divided by its protocol.

    Raises:
        DataError: The data set needs a path and none was given, it cannot be read, or the protocol does not fit it.
    """
    return divide_data(recipe, load_faces(recipe, path))


def divide_data(recipe: Recipe, dataset: FaceDataset) -> FaceDataset:
    """Divide what `load_faces` returned by the recipe's protocol, which may draw by the seed of the run."""
    return divide(dataset, recipe.data.make_protocol(recipe.training.seed))


def load_faces(recipe: Recipe, path: Path | None) -> FaceDataset:
    """Load the data set that a recipe names, at its input size and with its own splits.

    Raises:
        DataError: The data set needs a path and none was given, or it cannot be read.
    """
    if path is None and needs_path(recipe.data.dataset):
        raise DataError(f"The recipe trains on {recipe.data.dataset}: name its folder with --data DIR.")
    # the default seed: a validation split drawn here must be the one that `mien evaluate` draws
    options = LoadOptions(
        image_size=recipe.network.input_size,
        channels=recipe.network.channels,
        use_lazy_images=recipe.training.workers > 0,
    )
    return load(recipe.data.dataset, path, options)


class Faces(Dataset[tuple[Tensor, Tensor]]):
    """All faces of one split: images (n, C, H, W) uint8 and targets (n, K) float32, indexed a batch at a time.

    On an accelerator they are uploaded once, `to` its memory, and batches are cut there.
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
        if self.images.is_cuda:  # from pinned memory, so that nobody waits for the steps before
            index = index.pin_memory().to(self.images.device, non_blocking=True)
        return self.images[index], self.targets[index]

    def images_between(self, start: int, stop: int) -> Tensor:
        """Return the images of consecutive rows."""
        return self.images[start:stop]

    def to(self, device: torch.device) -> Faces:
        """Return the same faces in the memory of a device."""
        return Faces(self.images.to(device), self.targets.to(device))


class FaceFiles(Dataset[tuple[Tensor, Tensor]]):
    """All faces of one split, left in their files: as `Faces`, but every batch is read and resized anew.

    Args:
        pictures: n files.
        targets: (n, K) float32.
        size: Side of the images, in pixels.
        channels: 1 (grey) or 3 (RGB).
    """

    def __init__(self, pictures: LazyImages, targets: Tensor, size: int, channels: int) -> None:
        self.pictures, self.targets, self.size, self.channels = pictures, targets, size, channels

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        images, targets = self.__getitems__([row])
        return images[0], targets[0]

    def __getitems__(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return a whole batch at once, as `Faces` does."""
        images = _to_tensor((self.pictures[row] for row in rows), self.size, self.channels)
        return images, self.targets[torch.as_tensor(rows)]

    def images_between(self, start: int, stop: int) -> Tensor:
        """Return the images of consecutive rows, read by several threads."""
        return _to_tensor(np.asarray(self.pictures[start:stop]), self.size, self.channels)

    def to(self, device: torch.device) -> FaceFiles:
        """Return the faces themselves: batches are moved, not files."""
        return self


def make_faces(dataset: FaceDataset, recipe: Recipe, *, use_own_labels: bool = False) -> Faces | FaceFiles:
    """Bring a data set to the network's input size and its labels to target distributions.

    The targets have one more column than labels when the recipe trains with non-faces; rows that the annotators call
    "not a face" then have all their mass there. `use_own_labels`: each row is its label in the data set and nothing
    else, as scores count. Pictures that were left in their files stay there.

    Raises:
        DataError: The recipe wants FER+ votes and the data set has none.
    """
    size, channels = recipe.network.input_size, recipe.network.channels
    targets = torch.from_numpy(make_targets(dataset, recipe, use_own_labels=use_own_labels))
    images: Any = dataset.images
    if isinstance(images, LazyImages):
        return FaceFiles(images, targets, size, channels)
    return Faces(_to_tensor(images, size, channels), targets)


def _to_tensor(pictures: Iterable[NDArray[np.uint8]], size: int, channels: int) -> Tensor:
    """Return pictures of any size as (n, C, size, size) uint8."""
    images = np.stack([resize_face(picture, size, channels) for picture in pictures])
    images = images[:, None] if channels == 1 else images.transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(images))


def measure_pixels(faces: Faces | FaceFiles) -> tuple[NDArray[np.float64], bool]:
    """Return (256,) how many pixels of all faces and channels have each value, and whether any face has colour."""
    counts = np.zeros(256)
    has_colour = False
    for start in range(0, len(faces), FACES_PER_CHUNK):
        images = faces.images_between(start, start + FACES_PER_CHUNK).numpy()
        counts += np.bincount(images.reshape(-1), minlength=256)
        has_colour = has_colour or bool((images != images[:, :1]).any())
    return counts, has_colour


def make_targets(
    dataset: FaceDataset, recipe: Recipe, *, use_own_labels: bool = False
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return the target distributions (n, K) float32, each row summing to 1, see `make_faces`."""
    classes = len(dataset.label_set)
    own = np.eye(classes, dtype=np.float32)[dataset.labels]
    weight = recipe.data.ferplus_weight
    if weight and not use_own_labels:
        if dataset.votes is None:
            raise DataError(
                "The recipe wants FER+ votes: put fer2013new.csv beside fer2013.csv, or use "
                "--set data.ferplus_weight=0."
            )
        own = (1 - weight) * own + weight * dataset.votes
    if recipe.data.not_a_face_share:
        own = np.pad(own, ((0, 0), (0, 1)))
        if dataset.is_face is not None and not use_own_labels:
            own[~dataset.is_face] = np.eye(classes + 1, dtype=np.float32)[classes]
    return own.astype(np.float32)


def class_counts(faces: Faces | FaceFiles, recipe: Recipe) -> Tensor:
    """Return (K,) how many images each output has; soft targets count in shares, made non-faces with the others."""
    counts = faces.targets.sum(dim=0)
    if recipe.data.not_a_face_share:
        counts[-1] += recipe.data.not_a_face_share * len(faces)
    return counts


class FaceBatches(L.LightningDataModule):
    """Both loaders of a run, made where it runs: on an accelerator the faces are uploaded once.

    Faces in files are read by `training.workers` processes a loader instead, and uploaded a batch at a time.

    With several processes each takes its share of every training batch, so `training.batch_size` is that of all of
    them together; each validates on everything.

    Args:
        train: Faces to learn from.
        validation: Faces to select by.
        recipe: Validated settings.

    Raises:
        DataError: There is not one full training batch.
    """

    def __init__(self, train: Faces | FaceFiles, validation: Faces | FaceFiles, recipe: Recipe) -> None:
        super().__init__()
        size = recipe.training.batch_size
        if len(train) < size:
            raise DataError(
                f"{len(train)} training faces are fewer than one batch of {size}; lower training.batch_size."
            )
        self.train, self.validation, self.recipe = train, validation, recipe

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return this process's share of shuffled full batches; their order depends on seed and epoch alone."""
        trainer = cast(L.Trainer, self.trainer)
        labels = self.train.targets.argmax(dim=1)
        if self.recipe.data.not_a_face_share:
            labels[labels == self.train.targets.shape[1] - 1] = -1  # not a face is no class to be balanced
        sampler = FaceSampler(
            labels,
            class_balance=self.recipe.data.class_balance,
            seed=self.recipe.training.seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        size = self.recipe.training.batch_size // trainer.world_size
        return self._loader(self.train, size, sampler)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return the faces in their order, all of them."""
        return self._loader(self.validation, VALIDATION_BATCH)

    def _loader(
        self, faces: Faces | FaceFiles, size: int, sampler: FaceSampler | None = None
    ) -> DataLoader[tuple[Tensor, Tensor]]:
        device = cast(L.Trainer, self.trainer).strategy.root_device
        workers = self.recipe.training.workers if isinstance(faces, FaceFiles) else 0
        return DataLoader(
            faces.to(device),
            size,
            sampler=sampler,
            drop_last=sampler is not None,
            collate_fn=_as_is,
            num_workers=workers,
            worker_init_fn=_use_one_thread if workers else None,
            persistent_workers=workers > 0,
            pin_memory=workers > 0 and device.type == "cuda",
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch without blocking."""
        return tuple(tensor.to(device, non_blocking=True) for tensor in batch)


def _use_one_thread(worker: int) -> None:
    """Keep OpenCV from using threads in a worker: those of the process that it was forked from are not there."""
    cv2.setNumThreads(0)


def _as_is(batch: Any) -> Any:
    """Pass on what `Faces.__getitems__` has collated already."""
    return batch
