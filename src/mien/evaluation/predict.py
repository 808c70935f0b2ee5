"""Runs a model over one split of a data set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mien.core.card import ModelCard
from mien.core.errors import DataError
from mien.core.image import to_batch
from mien.data.dataset import FaceDataset
from mien.evaluation.predictions import Predictions
from mien.evaluation.views import Views, views_of
from mien.inference.model import ExpressionModel, Scores

BATCH_SIZE = 256
Progress = Callable[[int], None]


def predict_scores(
    model: ExpressionModel,
    dataset_split: FaceDataset,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
    views: Views = "one",
) -> Scores:
    """Run a model over all images of a data set; the scores stand in the model's order of labels.

    Args:
        model: The model; its card says how images are resized and normalised.
        dataset_split: The images, n of them.
        batch_size: Images a forward pass.
        progress: Called after each batch with the number of images in it.
        views: How each face is seen; the mean over the views is returned, of logits and of probabilities.

    Raises:
        DataError: There are no images, or `batch_size` is below 1.
    """
    if len(dataset_split) == 0:
        raise DataError(f"Data set '{dataset_split.name}' has no images to predict.")
    if batch_size < 1:
        raise DataError(f"Batch size {batch_size} is below 1.")
    batches = []
    for start in range(0, len(dataset_split), batch_size):
        faces = dataset_split.images[start : start + batch_size]
        images = to_batch(list(faces), model.card.input)
        batches.append(_mean([model.predict(view) for view in views_of(images, views)]))
        if progress is not None:
            progress(len(faces))
    return Scores(
        np.concatenate([batch.logits for batch in batches]),
        np.concatenate([batch.probabilities for batch in batches]),
        np.concatenate([batch.reject for batch in batches]),
    )


def _mean(views: list[Scores]) -> Scores:
    return Scores(
        np.stack([view.logits for view in views]).mean(axis=0),
        np.stack([view.probabilities for view in views]).mean(axis=0),
        np.stack([view.reject for view in views]).mean(axis=0),
    )


def predict_dataset(  # noqa: PLR0913 - what is predicted, and how
    model: ExpressionModel,
    dataset_split: FaceDataset,
    is_duplicate: NDArray[np.bool_],
    *,
    rows: NDArray[np.int64] | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
    views: Views = "one",
) -> Predictions:
    """Predict one split and keep everything that scoring needs.

    Labels meet by name. Where the data set lacks some of the model's labels, their probabilities are dropped
    and the rest is divided by its sum (a row whose rest is all zero becomes uniform).

    Args:
        model: The model.
        dataset_split: Images and labels of one split, n of them.
        is_duplicate: (n,) whether a pixel-identical image stands in the training split.
        rows: (n,) row numbers in the whole data set; 0..n-1 when not given.
        batch_size: Images a forward pass.
        progress: Called after each batch with the number of images in it.
        views: How each face is seen: once, mirrored too, or in ten crops.

    Raises:
        DataError: The model lacks a label of the data set, or images come from no split or from several.
    """
    wanted, given = dataset_split.label_set, model.card.labels
    missing = [name for name in wanted.names if name not in given.names]
    if missing:
        raise DataError(
            f"Model '{model.card.name}' cannot be scored on '{dataset_split.name}': it does not know"
            f" {', '.join(missing)}. Its labels: {', '.join(given.names)}."
        )
    if len(dataset_split.split_names) > 1:
        raise DataError(f"Images of {' and '.join(dataset_split.split_names)} are mixed; choose one split.")
    scores = predict_scores(model, dataset_split, batch_size, progress, views)
    return Predictions(
        probabilities=_normalised(scores.probabilities[:, wanted.columns_from(given)]),
        labels=np.asarray(dataset_split.labels, dtype=np.int64),
        label_set=wanted,
        model=model.card.name,
        dataset=dataset_split.name,
        split=str(dataset_split.splits[0]),
        fingerprint=dataset_split.fingerprint,
        is_duplicate=is_duplicate,
        rows=np.arange(len(dataset_split), dtype=np.int64) if rows is None else rows,
        paths=dataset_split.paths,
        selection=_selection(model.card),
        views=views,
        metadata=dataset_split.metadata,
    )


def _normalised(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    sums = probabilities.sum(axis=1, keepdims=True, dtype=np.float64)
    shares = np.full(probabilities.shape, 1 / probabilities.shape[1])
    # "not <= 0" rather than "> 0": NaN must come through, so that it is refused later
    np.divide(probabilities, sums, out=shares, where=~(sums <= 0))
    return shares.astype(np.float32)


def _selection(card: ModelCard) -> str:
    """Return how the weights were chosen, as "best epoch on validation accuracy"; "" if that is unknown."""
    chosen = card.scores.get("selection") or card.recipe.get("training", {}).get("selection", "")
    return str(chosen.get("rule", "")) if isinstance(chosen, dict) else str(chosen)
