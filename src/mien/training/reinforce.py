"""Makes the stored views of `reinforcement`, one after the other; an interrupted job continues where it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.core.dotted import flatten
from mien.core.errors import MienError
from mien.core.whole_file import whole_file
from mien.data.dataset import FaceDataset
from mien.recipes import Recipe
from mien.recipes.record import current_commit
from mien.training.augment import Augmentation
from mien.training.distillation import Teacher
from mien.training.faces import Faces, make_faces, measure_input
from mien.training.hardware import precision_here
from mien.training.reinforcement import (
    MANIFEST,
    SMALL_IMAGES,
    Manifest,
    describe,
    digest,
    small_images,
)
from mien.training.stored_views import image_name, logits_name

BATCH = 256
PRECISIONS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def reinforce(  # noqa: PLR0913 - the inputs and how to run
    recipe: Recipe,
    dataset: FaceDataset,
    teachers: Sequence[Path],
    folder: Path,
    *,
    views: int,
    progress: Callable[[int], None] | None = None,
) -> Manifest:
    """Store augmented views of the training faces with the teachers' mean logits; continue what is there.

    The views' pixels are those that the teachers saw, at the recipe's input size. View k depends on the seed and k
    alone, so more views can be added later.

    Args:
        recipe: Data, input size, augmentation (without mixing), `distillation.mirror`, seed and precision.
        dataset: Its data set, divided by its protocol.
        teachers: Run folders with the data set's labels, one or more.
        folder: Where everything is written.
        views: Number of views in the end, at least 1.
        progress: Called with the number of faces of the views that are there, then after each batch with its own.

    Raises:
        MienError: The folder holds views made in another way or something else, or a teacher has other labels.
    """
    if views < 1 or not teachers:
        raise MienError(f"{views} views and {len(teachers)} runs given; expected at least one of each.")
    faces = make_faces(dataset.split(recipe.data.train_split), recipe)
    spec = measure_input(faces, recipe)
    names, mirror = dataset.label_set.names, recipe.distillation.mirror
    ensemble = [Teacher(path, names, torch.channels_last, mirror=mirror) for path in teachers]
    precision = precision_here(recipe.training)
    known: dict[str, Any] = {"precision": precision, "teachers": [teacher.description for teacher in ensemble]}
    if mirror:
        known["mirror"] = True  # otherwise absent, as in the views of earlier versions
    manifest = _begin(folder, describe(recipe, dataset, faces, spec) | known, views, faces)
    maker = _ViewMaker(faces, recipe, ensemble, manifest.made_from["channels"], PRECISIONS.get(precision))
    labels = dataset.split(recipe.data.train_split).labels
    advance = progress or (lambda done: None)
    advance(len(manifest.views) * len(faces))
    for number in range(len(manifest.views), views):
        images, logits = maker.make(number, advance)
        for name, array in ((image_name(number), images), (logits_name(number), logits)):
            with whole_file(folder / name) as file:
                np.save(file, array, allow_pickle=False)
        agreement = round(float((logits.argmax(1) == labels).mean()), 5)
        manifest.views.append({"images": digest(images), "logits": digest(logits), "agreement": agreement})
        manifest.save(folder)
    return manifest


def _begin(folder: Path, made_from: dict[str, Any], views: int, faces: Faces) -> Manifest:
    """Return the manifest of a folder to continue, or a new one in an empty folder."""
    if (folder / MANIFEST).is_file():
        manifest = Manifest.load(folder)
        before, now = flatten(manifest.made_from), flatten(made_from)
        changed = [key for key in {**before, **now} if before.get(key) != now.get(key)]
        if changed:
            raise MienError(f"{folder} holds views made in another way ({', '.join(changed)}); name another --out.")
        manifest.planned = max(views, len(manifest.views))
    else:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise MienError(f"{folder} holds something else; name a new or empty folder with --out.")
        folder.mkdir(parents=True, exist_ok=True)
        manifest = Manifest(made_from, views, commit=current_commit())
        with whole_file(folder / SMALL_IMAGES) as file:
            np.save(file, small_images(faces), allow_pickle=False)
    manifest.save(folder)
    return manifest


class _ViewMaker:
    def __init__(
        self, faces: Faces, recipe: Recipe, teachers: Sequence[Teacher], channels: int, dtype: torch.dtype | None
    ) -> None:
        self.faces, self.teachers, self.channels, self.dtype = faces, teachers, channels, dtype
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.augment = Augmentation(recipe.augmentation, channels).to(self.device)
        self.seed = recipe.training.seed

    def make(self, number: int, progress: Callable[[int], None]) -> tuple[NDArray[np.uint8], NDArray[np.float16]]:
        """Return a view's images (n, C, S, S) and the logits of these pixels (n, labels)."""
        images, logits = [], []
        with torch.random.fork_rng():
            torch.manual_seed(self.seed * 100_003 + number)
            for start in range(0, len(self.faces), BATCH):
                rows = self.faces.images[start : start + BATCH][:, : self.channels].to(self.device)
                view = (self.augment(rows.float() / 255) * 255).round().byte()
                images.append(view.cpu().numpy())
                logits.append(self._ask(view).cpu().numpy())
                progress(len(rows))
        return np.concatenate(images), np.concatenate(logits)

    def _ask(self, view: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None):
            answers = [teacher.logits(view.float() / 255) for teacher in self.teachers]
        return torch.stack(answers).mean(0).half()
