"""Batches of composed scenes, with the places that the network has wrongly taken for faces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import cv2
import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler, TensorDataset

from mien.data.scenes.composer import Composer, Place
from mien.data.scenes.photographs import Scenes
from mien.recipes.detector_schema import DetectorRecipe
from mien.training.detector.targets import make_target

# What seeds a batch, and the hard places that it shows.
Key = tuple[tuple[int, ...], tuple[Place, ...]]
VALIDATION_BATCH = 256
VALIDATION_SEED = 2**31


class SceneBatches(L.LightningDataModule):
    """The loaders of a detector's run: new scenes in each epoch, the same scenes for each validation.

    Args:
        recipe: Validated settings.
        faces: (n, 48, 48) uint8, to train on.
        scenes: To train on.
        held_back: Faces and scenes for validation.
        mine: Returns the hard places of the training scenes for an epoch; called at its start.
    """

    def __init__(
        self,
        recipe: DetectorRecipe,
        faces: NDArray[np.uint8],
        scenes: Scenes,
        held_back: tuple[NDArray[np.uint8], Scenes],
        mine: Callable[[int], list[Place]],
    ) -> None:
        super().__init__()
        self.recipe, self.mine = recipe, mine
        self.composer = Composer(faces, scenes)
        self.validation = compose_validation(recipe, *held_back)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return batches of new scenes, composed by `training.workers` processes."""
        workers = self.recipe.training.workers
        return DataLoader(
            ComposedScenes(self.composer, self.recipe.training.batch_size),
            batch_size=None,
            sampler=cast("Sampler[int]", SceneSampler(self.recipe, self.mine)),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_use_one_thread if workers else None,
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Return the validation scenes."""
        return DataLoader(self.validation, VALIDATION_BATCH)


class SceneSampler(Sampler[Key]):
    """Yields what each batch of an epoch is composed from; it follows from seed, epoch and the network at its start."""

    def __init__(self, recipe: DetectorRecipe, mine: Callable[[int], list[Place]]) -> None:
        self.recipe, self.mine = recipe, mine
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that comes next; the trainer calls this."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Key]:
        seed, epoch = self.recipe.training.seed, self.epoch
        places = self.mine(epoch) if self.recipe.scenes.hard_share else []
        rng = np.random.default_rng((seed, epoch))
        count = round(self.recipe.scenes.hard_share * self.recipe.training.batch_size) if places else 0
        for batch in range(len(self)):
            chosen = rng.integers(max(len(places), 1), size=count).tolist()
            yield (seed, epoch, batch), tuple(places[number] for number in chosen)

    def __len__(self) -> int:
        return max(1, self.recipe.scenes.per_epoch // self.recipe.training.batch_size)


class ComposedScenes(Dataset[tuple[Tensor, Tensor]]):
    """Composes batches: images (B, 1, 128, 128) uint8 and targets (B, 7, 16, 16) float32."""

    def __init__(self, composer: Composer, size: int) -> None:
        self.composer, self.size = composer, size

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        """Compose the batch of a key."""
        seed, places = key
        self.composer.reseed(seed)
        padding = [None] * (self.size - len(places))
        scenes = [self.composer.scene(place) for place in (*places, *padding)]
        images = np.stack([scene.image for scene in scenes])[:, None]
        return torch.from_numpy(images), torch.from_numpy(np.stack([make_target(scene) for scene in scenes]))


def compose_validation(recipe: DetectorRecipe, faces: NDArray[np.uint8], scenes: Scenes) -> TensorDataset:
    """Return the validation scenes of a recipe, the same for every seed."""
    composer = Composer(faces, scenes)
    return TensorDataset(*ComposedScenes(composer, recipe.scenes.validation)[(VALIDATION_SEED,), ()])


def _use_one_thread(worker: int) -> None:
    """Keep OpenCV from using threads in a worker: the parent's threads do not exist after a fork."""
    cv2.setNumThreads(0)
