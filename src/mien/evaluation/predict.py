"""Runs a model over one split of a data set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.core.card import ModelCard
from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.core.image import to_batch
from mien.data.dataset import FaceDataset
from mien.data.duplicates import duplicate_mask
from mien.data.protocols import original_rows
from mien.evaluation.predictions import Predictions
from mien.inference.model import Model, OnnxModel, Scores
from mien.inference.views import Views, predict_views

BATCH_SIZE = 256
Progress = Callable[[int], None]
# Takes an image, (h, w) or (h, w, 3) uint8, and its position in the data set; returns an image of the same shape.
Change = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]


def predict_scores(
    model: Model,
    faces: FaceDataset,
    *,
    views: Views = "one",
    change: Change | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Run a model over all images of a data set; the scores have the model's order of labels.

    Args:
        model: Its card says how images are resized and normalized.
        faces: The images.
        views: The views of each face; logits and probabilities are averaged over them.
        change: Applied to each image before it is resized, such as a corruption.
        progress: Called after each batch with the number of images in it.

    Raises:
        DataError: There are no images.
    """
    if len(faces) == 0:
        raise DataError(f"Data set '{faces.name}' has no images to predict.")
    batches = []
    for start in range(0, len(faces), BATCH_SIZE):
        images = list(faces.images[start : start + BATCH_SIZE])
        if change is not None:
            images = [change(image, i) for i, image in enumerate(images, start)]
        scores = predict_views(model, to_batch(images, model.card.input), views)
        batches.append([scores.logits, scores.probabilities, scores.reject])
        if progress is not None:
            progress(len(images))
    return Scores(*(np.concatenate(parts) for parts in zip(*batches, strict=True)))


def predict_features(model: OnnxModel, faces: FaceDataset) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what the network's last layer gets for each image, (n, d), and the logits, (n, k)."""
    batches = []
    for start in range(0, len(faces), BATCH_SIZE):
        batch = to_batch(list(faces.images[start : start + BATCH_SIZE]), model.card.input)
        batches.append((model.features(batch), model.predict(batch).logits))
    features, logits = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return features, logits


def predict_split(  # noqa: PLR0913 - what is predicted, and how
    model: Model,
    dataset: FaceDataset,
    split: str,
    *,
    views: Views = "one",
    labels_of_data: bool = False,
    progress: Progress | None = None,
) -> Predictions:
    """Predict one split and keep everything that scoring needs; see `predict_scores` and `make_predictions`.

    Raises:
        DataError: The model lacks a label of the data set, or the split has no images.
    """
    check_labels(model.card, dataset)  # before the work
    scores = predict_scores(model, dataset.split(split), views=views, progress=progress)
    return make_predictions(scores, model.card, dataset, split, views=views, labels_of_data=labels_of_data)


def make_predictions(  # noqa: PLR0913 - where the scores come from
    scores: Scores,
    card: ModelCard,
    dataset: FaceDataset,
    split: str,
    *,
    train_split: str = "train",
    views: Views = "one",
    labels_of_data: bool = False,
) -> Predictions:
    """Return the predictions that belong to a model's scores on one split.

    Args:
        scores: The model's scores on the images of the split, in the order of the data set.
        card: The model's card.
        dataset: The whole data set: images that also occur in the training split are marked as duplicates.
        split: The split that was predicted.
        train_split: The split that the model was trained on.
        views: The views that the scores are averaged over.
        labels_of_data: Leave out the model's labels that the data set lacks. That flatters the model: it can no longer
            give a wrong answer by them.

    Raises:
        DataError: The model lacks a label of the data set, or the split has no images.
    """
    check_labels(card, dataset)
    chosen, inside = dataset.split(split), dataset.in_split(split)
    others = tuple(label for label in card.labels if label not in dataset.label_set.names)
    label_set = LabelSet((*dataset.label_set, *(() if labels_of_data else others)))  # classes keep their numbers
    return Predictions(
        probabilities=match_labels(scores.probabilities, card, label_set),
        labels=np.asarray(chosen.labels, dtype=np.int64),
        label_set=label_set,
        left_out=others if labels_of_data else (),
        model=card.name,
        dataset=dataset.name,
        folder=dataset.folder,
        split=split,
        fingerprint=chosen.fingerprint,
        is_duplicate=duplicate_mask(dataset, train_split)[inside],
        rows=original_rows(dataset)[inside],
        paths=chosen.paths,
        selection=_selection(card),
        views=views,
        metadata=chosen.metadata,
    )


def match_labels(probabilities: NDArray[np.float32], card: ModelCard, labels: LabelSet) -> NDArray[np.float32]:
    """Return a model's probabilities (n, k) for some of its labels, in their order; matched by name.

    Probabilities of other labels are dropped and the rest is divided by its sum. A row whose rest is all zero becomes
    uniform.
    """
    kept = probabilities[:, labels.columns_from(card.labels)]
    sums = kept.sum(axis=1, keepdims=True, dtype=np.float64)
    shares = np.full(kept.shape, 1 / kept.shape[1])
    # "not <= 0" rather than "> 0": NaN must come through, so that it is refused later
    np.divide(kept, sums, out=shares, where=~(sums <= 0))
    return shares.astype(np.float32)


def check_labels(card: ModelCard, dataset: FaceDataset) -> None:
    """Raise `DataError` if a model lacks one of a data set's labels."""
    missing = [name for name in dataset.label_set.names if name not in card.labels.names]
    if missing:
        raise DataError(
            f"Model '{card.name}' cannot be scored on '{dataset.name}': it lacks the labels {', '.join(missing)}."
            f" Its labels: {', '.join(card.labels.names)}."
        )


def _selection(card: ModelCard) -> str:
    """Return how the weights were chosen, such as "best epoch on validation accuracy"; "" if that is unknown."""
    chosen = card.scores.get("selection") or card.recipe.get("training", {}).get("selection", "")
    return str(chosen.get("rule", "")) if isinstance(chosen, dict) else str(chosen)
