"""Train a face detector by a recipe, and write checkpoints, curves and a run record."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.data.dataset import FaceDataset
from mien.data.options import LoadOptions
from mien.data.registry import load
from mien.data.scenes.covers import FACE
from mien.data.scenes.photographs import Scenes
from mien.models.complexity import count_macs, count_parameters
from mien.models.face_detector import MEAN, STD, FaceDetector
from mien.recipes import DetectorRecipe, parse_detector_recipe
from mien.recipes.record import RECORD, RunRecord, current_commit, now
from mien.training.detector.batches import SceneBatches
from mien.training.detector.mining import find_hard_places
from mien.training.detector.run import DetectorRun, create_detector_network, load_detector_run, load_own_weights
from mien.training.detector.task import DetectorTask
from mien.training.fit import train_to_end
from mien.training.hardware import describe_hardware, precision_here
from mien.training.processes import check_folder
from mien.training.recording import RecordKeeper, continue_record
from mien.training.trainer import without_advice

# The image for which a record counts multiply-accumulates.
COUNTED = (480, 640)


def load_detector_faces(recipe: DetectorRecipe, path: Path | None) -> FaceDataset:
    """Load the recipe's faces, (n, 48, 48) grey."""
    return load(recipe.data.dataset, path, LoadOptions(image_size=FACE, channels=1))


def fit_detector(  # noqa: PLR0913 - the recipe, its inputs and how to run it
    recipe: DetectorRecipe,
    dataset: FaceDataset,
    scenes: Scenes,
    folder: Path,
    *,
    weights: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    quiet: bool = False,
) -> DetectorRun:
    """Train by a recipe and write checkpoints, TensorBoard curves and `record.json` into `folder`.

    Args:
        recipe: Validated settings.
        dataset: Faces, as `load_detector_faces` returns them.
        scenes: Photographs and objects; every fifth is held back for validation.
        folder: Where everything is written; must not hold a run unless `resume`.
        weights: A detector's checkpoint to start from; None: random weights.
        resume: Continue after the last completed epoch in `folder`; start over if there is none.
        minutes: Time limit: the run stops before an epoch that would exceed it, and `resume` continues it.
        quiet: No progress bar.

    Raises:
        MienError: The folder holds another run, the data lack a split or photographs, the weights do not fit, or the
            loss is no longer finite.
    """
    check_folder(folder, resume=resume)
    L.seed_everything(recipe.training.seed, verbose=False)
    if recipe.training.threads:
        torch.set_num_threads(recipe.training.threads)
    network = create_detector_network(recipe)
    training, held_back = scenes.divide()
    if not training.photographs:
        raise DataError("The scenes have one photograph; expected two or more, of which every fifth is held back.")
    record = _new_record(recipe, dataset, scenes, network)
    if weights is not None:
        load_own_weights(network, weights)
        record.weights = {"file": weights.name, "sha256": hashlib.sha256(weights.read_bytes()).hexdigest()}
    if (folder / RECORD).exists():
        record = continue_record(RunRecord.load(folder / RECORD), record, folder, parse_detector_recipe)
        if record.finished:
            return load_detector_run(folder)
    batches = SceneBatches(
        recipe,
        shown_faces(dataset, recipe.data.train_split),
        training,
        (shown_faces(dataset, recipe.data.validation_split), held_back),
        lambda epoch: find_hard_places(network, training.photographs, recipe.scenes.hard_score) if epoch else [],
    )
    with without_advice():
        task = DetectorTask(network, recipe)
        folder.mkdir(parents=True, exist_ok=True)
        keeper = RecordKeeper(record, folder / RECORD, minutes)
        keeper.save()
        if keeper.has_time():
            train_to_end(task, batches, keeper, recipe, resume=resume, quiet=quiet)
    run = load_detector_run(folder)
    run.record.save(folder / RECORD)
    return run


def shown_faces(dataset: FaceDataset, split: str) -> NDArray[np.uint8]:
    """Return the images (n, 48, 48) of a split that no annotator took for a non-face; `DataError` if it has none."""
    dataset.require_split(split)
    faces = dataset.split(split)
    return faces.images if faces.is_face is None else faces.images[faces.is_face]


def _new_record(recipe: DetectorRecipe, dataset: FaceDataset, scenes: Scenes, network: FaceDetector) -> RunRecord:
    photographs = scenes.photographs
    content = hashlib.sha256()
    for photograph in photographs:
        content.update(photograph.image.tobytes() + photograph.faces.tobytes() + photograph.is_ignored.tobytes())
    data: dict[str, Any] = {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "counts": dataset.counts(),
        "scenes": {
            "photographs": len(photographs),
            "known_faces": int(sum((~each.is_ignored).sum() for each in photographs)),
            "objects": len(scenes.objects),
        },
        "targets": content.hexdigest(),
    }
    return RunRecord(
        name=recipe.name,
        recipe=recipe.model_dump(),
        data=data,
        labels=["face"],
        parameters=count_parameters(network),
        mean=MEAN / 255,
        std=STD / 255,
        macs=count_macs(network, COUNTED, 1),
        is_grey=True,
        started=now(),
        commit=current_commit(),
        hardware=describe_hardware() | {"precision": precision_here(recipe.training)},
    )
