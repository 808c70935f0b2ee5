"""The score by the most frequent vote alone, beside the one of a data set that leaves unclear images out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mien.data.dataset import FaceDataset
from mien.evaluation import metrics
from mien.evaluation.predict import match_labels, predict_scores
from mien.evaluation.predictions import Predictions
from mien.inference.model import Model
from mien.inference.views import Views


def score_plain_argmax(
    pairs: Sequence[tuple[Model, FaceDataset]], split: str, official: Predictions, *, views: Views = "one"
) -> dict[str, Any]:
    """Score the predictions of a split together with the images that the data set's rule leaves out.

    Args:
        pairs: The model, or the members of an ensemble, each with the data set at its input size.
        split: The split.
        official: The predictions of the images that the rule keeps.
        views: The views of each face.

    Returns:
        `plain_argmax`, with `n` images, `accuracy` and `mean_class_accuracy`; nothing if the rule leaves none out.
    """
    answers, faces = [], None
    for model, dataset in pairs:
        if dataset.unclear is None or not dataset.unclear.in_split(split).any():
            return {}
        faces = dataset.unclear.split(split)
        scores = predict_scores(model, faces, views=views)
        answers.append(match_labels(scores.probabilities, model.card, official.label_set))
    if faces is None:
        return {}
    classes = len(official.label_set)
    counts = metrics.confusion(official.labels, metrics.predicted(official.probabilities), classes)
    counts += metrics.confusion(faces.labels, metrics.predicted(np.mean(answers, axis=0)), classes)
    scores_of_all = {key: float(metrics.main_scores(counts)[key]) for key in ("accuracy", "mean_class_accuracy")}
    return {"plain_argmax": {"n": len(official) + len(faces), **scores_of_all}}
