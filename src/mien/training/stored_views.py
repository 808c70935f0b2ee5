"""Stored views of training faces as a data set: images on the disk, with the teachers' logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from mien.training.faces import Faces


def image_name(view: int) -> str:
    """Return the name of the file with a view of every face, (n, C, S, S) uint8."""
    return f"images-{view:04}.npy"


def logits_name(view: int) -> str:
    """Return the name of the file with the teachers' mean logits for the pixels of a view, (n, labels) float16."""
    return f"logits-{view:04}.npy"


class ViewFiles:
    """The views' images, indexed by view x n + face: (m,) -> (m, C, size, size) uint8. Read from the disk as needed.

    Args:
        paths: One file per view, (n, c, S, S) with c of 1 or C.
        size: Side of the returned images, in pixels.
        channels: C.
    """

    is_cuda = False

    def __init__(self, paths: Sequence[Path], size: int, channels: int) -> None:
        self.arrays: list[NDArray[np.uint8]] = [np.load(path, mmap_mode="r") for path in paths]
        self.size, self.channels = size, channels

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """Read views by their numbers (m,)."""
        views, faces = np.divmod(numbers.numpy(), len(self))
        images = torch.from_numpy(np.stack([self.arrays[v][i] for v, i in zip(views, faces, strict=True)]))
        if images.shape[-1] != self.size:
            sized = F.interpolate(images.float(), (self.size, self.size), mode="bilinear", antialias=True)
            images = sized.round().clamp(0, 255).byte()
        return images.expand(-1, self.channels, -1, -1)


class StoredViews(Faces):
    """Views of n faces; a batch also has the teachers' logits, (m, labels) float16. Numbers are view x n + face."""

    def __init__(self, images: ViewFiles, targets: Tensor, logits: Tensor) -> None:
        super().__init__(images, targets)
        self.logits = logits
        self.views = len(images.arrays)

    def __getitems__(self, rows: Sequence[int]) -> tuple[Tensor, ...]:
        """Return images (m, C, H, W) uint8, targets (m, K) and logits (m, labels) of a batch."""
        numbers = torch.as_tensor(rows)
        return self.images[numbers], self.targets[numbers % len(self)], self.logits[numbers]
