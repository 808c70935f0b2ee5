"""Dataset reinforcement: stored views of the training faces, and what teachers say about each.

A student then learns from an ensemble at the cost of a network without a teacher (Faghri et al., "Reinforce Data,
Multiply Impact", ICCV 2023). `mien.training.reinforce` writes the folder. `reinforcement.json` says what it holds,
`images-K.npy` and `logits-K.npy` are view K, and `faces.npy` has small images of the original faces, by which a
student's faces are recognized at any size.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import mien
from mien.core.card import InputSpec
from mien.core.errors import MienError
from mien.core.whole_file import write_json
from mien.data.dataset import FaceDataset
from mien.recipes import Recipe
from mien.training.faces import FACES_PER_CHUNK, Faces
from mien.training.stored_views import StoredViews, ViewFiles, image_name, logits_name

MANIFEST = "reinforcement.json"
FORMAT = 1
SMALL_IMAGES = "faces.npy"
SMALL_SIDE = 4
# Grey levels by which a face's small image may differ if the face was loaded at another size.
LARGEST_DIFFERENCE = 8
# A student may blend views, which blends the teachers' probabilities too.
OWN_AUGMENTATION = {"mixup", "cutmix"}


@dataclass
class Manifest:
    """What a folder of views holds, as `reinforcement.json`.

    `made_from` decides what the views are: the data set's name, fingerprint, split and protocol, the number of faces,
    labels, size, channels, augmentation, seed and precision, and the teachers. `views` has a row per finished view: the
    SHA-256 of both arrays, and their agreement: the share of faces whose own label has the largest logit.
    """

    made_from: dict[str, Any]
    planned: int
    views: list[dict[str, Any]] = field(default_factory=list)
    commit: str = ""
    version: str = mien.__version__
    format: int = FORMAT

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read a folder's manifest; `MienError` if there is none, or a later version wrote it."""
        path = folder / MANIFEST
        if not path.is_file():
            raise MienError(f"{folder} holds no views: {MANIFEST} is missing; name the --out of `mien reinforce`.")
        try:
            manifest = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise MienError(f"{path} is not a manifest of `mien reinforce` ({error}).") from None
        if manifest.format != FORMAT:
            raise MienError(f"{path} has format {manifest.format}; this version of mien reads format {FORMAT}.")
        return manifest

    def save(self, folder: Path) -> None:
        """Write it in one step."""
        write_json(folder / MANIFEST, asdict(self))

    @property
    def is_complete(self) -> bool:
        """Whether all planned views are finished."""
        return len(self.views) >= self.planned

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything that decides what a student sees."""
        return hashlib.sha256(json.dumps([self.made_from, self.views], sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Reinforcement:
    """The complete views in a folder, checked against a student's recipe and faces."""

    folder: Path
    manifest: Manifest

    @property
    def teachers(self) -> list[dict[str, Any]]:
        """Name, accuracy and hash of each teacher."""
        return list(self.manifest.made_from["teachers"])

    @property
    def description(self) -> dict[str, Any]:
        """What a student's record says of its views."""
        made_from = self.manifest.made_from
        brief: dict[str, Any] = {key: made_from[key] for key in ("size", "seed", "mirror") if key in made_from}
        return {"fingerprint": self.manifest.fingerprint, "views": len(self.manifest.views), **brief}

    def faces(self, faces: Faces, recipe: Recipe) -> StoredViews:
        """Return the views of a student's training faces, with its targets."""
        settings = recipe.network
        numbers = range(len(self.manifest.views))
        images = ViewFiles([self.folder / image_name(k) for k in numbers], settings.input_size, settings.channels)
        logits = np.concatenate([np.load(self.folder / logits_name(k)) for k in numbers])
        return StoredViews(images, faces.targets, torch.from_numpy(logits))


def open_reinforcement(recipe: Recipe, dataset: FaceDataset, faces: Faces, spec: InputSpec) -> Reinforcement | None:
    """Return the views that a recipe names, after checking all of them; None if it names none.

    Args:
        recipe: Of the student.
        dataset: Its data set, divided by its protocol.
        faces: Its training faces.
        spec: Its network's input.

    Raises:
        MienError: The folder is incomplete or damaged, or its views are of other faces, labels or augmentation.
    """
    if not recipe.distillation.reinforced:
        return None
    folder = Path(recipe.distillation.reinforced)
    manifest = Manifest.load(folder)
    if not manifest.is_complete:
        done = f"{len(manifest.views)} of {manifest.planned}"
        raise MienError(f"{folder} has {done} views; run `mien reinforce` again to finish them.")
    wanted = describe(recipe, dataset, faces, spec)
    same = ("dataset", "split", "protocol", "faces", "labels", "channels")
    differing = [key for key in same if manifest.made_from[key] != wanted[key]]
    then, now = manifest.made_from["augmentation"], wanted["augmentation"]
    differing += [f"augmentation.{key}" for key in now if then.get(key) != now[key]]
    if differing:
        raise MienError(
            f"{folder} was made with other settings than the recipe's ({', '.join(differing)}); give the recipe the "
            "same ones, or make other views."
        )
    for number, view in enumerate(manifest.views):
        check_view(folder, number, view)
    if not _are_same(np.load(folder / SMALL_IMAGES), small_images(faces)):
        raise MienError(f"{folder} has views of other faces; make views of these with `mien reinforce`.")
    return Reinforcement(folder, manifest)


def describe(recipe: Recipe, dataset: FaceDataset, faces: Faces, spec: InputSpec) -> dict[str, Any]:
    """Return `Manifest.made_from` without the teachers and the precision."""
    augmentation = recipe.augmentation.model_dump(exclude=OWN_AUGMENTATION)
    return {
        "dataset": dataset.name,
        "fingerprint": dataset.fingerprint,
        "split": recipe.data.train_split,
        "protocol": recipe.data.make_protocol(recipe.training.seed).describe(),
        "faces": len(faces),
        "labels": list(dataset.label_set.names),
        "size": recipe.network.input_size,
        "channels": 1 if spec.is_grey else spec.channels,
        "augmentation": augmentation,
        "seed": recipe.training.seed,
    }


def check_view(folder: Path, number: int, view: Mapping[str, Any]) -> None:
    """Raise `MienError` if a view's images or logits are not those that were written together."""
    for name, key in ((image_name(number), "images"), (logits_name(number), "logits")):
        try:
            content = np.load(folder / name, mmap_mode="r")
        except (OSError, ValueError):
            content = np.zeros(0)
        if digest(content) != view[key]:
            raise MienError(f"{folder / name} is missing or damaged; remove the folder and run `mien reinforce` again.")


def small_images(faces: Faces) -> NDArray[np.uint8]:
    """Return the faces at 4 x 4 pixels, grey: (n, 4, 4) uint8."""
    chunks = []
    for start in range(0, len(faces), FACES_PER_CHUNK):
        images = faces.images[start : start + FACES_PER_CHUNK].float().mean(1)
        chunks.append(F.adaptive_avg_pool2d(images, SMALL_SIDE).round().byte().numpy())
    return np.concatenate(chunks)


def _are_same(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> bool:
    difference = np.abs(before.astype(np.int16) - now)
    return bool(before.shape == now.shape and (difference <= LARGEST_DIFFERENCE).all())


def digest(array: NDArray[Any]) -> str:
    """Return the SHA-256 (hex) of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
