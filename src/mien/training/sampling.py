"""The order of the training images: by seed and epoch alone, balanced if wanted, shared between processes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler


class FaceSampler(Sampler[int]):
    """Draws as many images an epoch as there are; process r of R gets numbers r, r + R, r + 2 R ... of the one order.

    So the batches of all processes together are the batches that one process with R times the batch size would see.

    Args:
        labels: (n,) class numbers; images of -1 are in none, and are drawn as often as if nothing were balanced.
        class_balance: b in [0, 1]. 0: a permutation, every image once. Above: draws with replacement, an image of a
            class with m images in proportion to m^(-b).
        seed: Of the run.
        rank: This process, from 0.
        world_size: Number of processes R; the last n mod R draws of an epoch are left out.
    """

    def __init__(
        self, labels: Tensor, *, class_balance: float = 0.0, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.total = len(labels)
        self.epoch = 0
        self.weights: Tensor | None = None
        if class_balance:
            of_class = labels[labels >= 0]
            weights = of_class.bincount().double().pow(-class_balance)[of_class]
            self.weights = torch.ones(self.total, dtype=torch.double)
            self.weights[labels >= 0] = weights / weights.mean()

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next; the trainer calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        # far apart: seed 1 must not begin with what seed 0 goes on with
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        if self.weights is None:
            order = torch.randperm(self.total, generator=generator)
        else:
            order = torch.multinomial(self.weights, self.total, replacement=True, generator=generator)
        whole = self.total - self.total % self.world_size
        return iter(order[self.rank : whole : self.world_size].tolist())

    def __len__(self) -> int:
        return self.total // self.world_size
