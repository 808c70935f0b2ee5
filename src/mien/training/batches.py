"""A run's data set in its splits, and the order in which its faces are batched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import cv2
import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from mien.core.errors import DataError
from mien.recipes import Recipe
from mien.training.faces import Faces, ImageFiles

VALIDATION_BATCH = 256


class FaceSampler(Sampler[int]):
    """Draws n of n images per epoch; process r of R gets numbers r, r + R, r + 2 R ... of one common order.

    So the batches of all processes together are those of one process with R times the batch size. The order depends
    on seed and epoch alone.

    Args:
        labels: (n,) class numbers; images of -1 are in no class, and are drawn as if nothing were balanced.
        class_balance: b in [0, 1]. Above 0, and if the classes differ in size: draws with replacement, an image of a
            class with m images in proportion to m^(-b). Else a permutation, every image once.
        seed: Of the run.
        rank: This process, from 0.
        world_size: Number of processes R; the last n mod R draws of an epoch are left out.
        views: Stored views V of each image. Above 1, view v of image i has the number v n + i; an image's views take
            turns, each once in V epochs, from a random one on.
    """

    def __init__(  # noqa: PLR0913 - what an order depends on
        self,
        labels: Tensor,
        *,
        class_balance: float = 0.0,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        views: int = 1,
    ) -> None:
        self.seed, self.rank, self.world_size, self.views = seed, rank, world_size, views
        self.total = len(labels)
        self.epoch = 0
        self.weights: Tensor | None = None
        if class_balance:
            of_class = labels[labels >= 0]
            weights = of_class.bincount().double().pow(-class_balance)[of_class]
            if (weights != weights[:1]).any():
                self.weights = torch.ones(self.total, dtype=torch.double)
                self.weights[labels >= 0] = weights / weights.mean()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; the trainer calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        # seeds far apart: seed 1 must not start with the second epoch of seed 0
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        if self.weights is None:
            order = torch.randperm(self.total, generator=generator)
        else:
            order = torch.multinomial(self.weights, self.total, replacement=True, generator=generator)
        if self.views > 1:
            generator.manual_seed(self.seed * 100_003 + self.epoch // self.views)
            first = torch.randint(self.views, (self.total,), generator=generator)
            order = order + (first[order] + self.epoch) % self.views * self.total
        whole = self.total - self.total % self.world_size
        return iter(order[self.rank : whole : self.world_size].tolist())

    def __len__(self) -> int:
        return self.total // self.world_size


class FaceBatches(L.LightningDataModule):
    """The training and validation loaders of a run.

    Faces in memory are uploaded once to an accelerator; faces in files are read by `training.workers` processes per
    loader and uploaded a batch at a time. With several processes each takes its share of every training batch, and
    each validates on everything.

    Args:
        train: Faces to train on.
        validation: Faces to select the epoch by.
        recipe: Validated settings.

    Raises:
        DataError: There are fewer training faces than one batch.
    """

    def __init__(self, train: Faces, validation: Faces, recipe: Recipe) -> None:
        super().__init__()
        size = recipe.training.batch_size
        if len(train) < size:
            raise DataError(
                f"{len(train)} training faces are fewer than one batch of {size}; lower training.batch_size."
            )
        self.train, self.validation, self.recipe = train, validation, recipe

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Return this process's share of shuffled full batches."""
        trainer = cast(L.Trainer, self.trainer)
        labels = self.train.targets.argmax(dim=1)
        if self.recipe.data.not_a_face_share:
            labels[labels == self.train.targets.shape[1] - 1] = -1  # "not a face" is not a class to balance
        sampler = FaceSampler(
            labels,
            class_balance=self.recipe.data.class_balance,
            seed=self.recipe.training.seed,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
            views=self.train.views,
        )
        return self._loader(self.train, self.recipe.training.batch_size // trainer.world_size, sampler)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Return all validation faces in their order."""
        return self._loader(self.validation, VALIDATION_BATCH)

    def _loader(self, faces: Faces, size: int, sampler: FaceSampler | None = None) -> DataLoader[tuple[Tensor, ...]]:
        device = cast(L.Trainer, self.trainer).strategy.root_device
        workers = self.recipe.training.workers if isinstance(faces.images, ImageFiles) else 0
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
    """Keep OpenCV from using threads in a worker: the parent's threads do not exist after a fork."""
    cv2.setNumThreads(0)


def _as_is(batch: Any) -> Any:
    """Pass on what `Faces.__getitems__` has already collated."""
    return batch
