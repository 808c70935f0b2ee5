"""From a finished run to a model file that says how good it is: export, calibrate, score, write the card."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import mien
from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.expressions import LabelSet
from mien.data.dataset import FaceDataset
from mien.data.duplicates import twin_mask
from mien.evaluation.calibration import choose_reject_threshold, fit_temperature
from mien.evaluation.predict import predict_dataset, predict_scores
from mien.evaluation.scores import score
from mien.export.onnx import export_onnx, replace_card
from mien.inference.model import ExpressionModel
from mien.training.recipe import Recipe
from mien.training.run import RECORD, Run

MODEL = "model.onnx"


def publish(run: Run, dataset: FaceDataset | None, path: Path, *, use_half_weights: bool = False) -> dict[str, Any]:
    """Export a run to `path` and, if its data set is given, calibrate and score the file on the validation split.

    The scores go into the run record and into the file's card. Returns the scores (empty without a data set and
    without earlier scores).
    """
    record, recipe = run.record, Recipe.model_validate(run.record.recipe)
    calibration = record.scores.get("calibration", {})
    card = ModelCard(
        name=record.name,
        network=recipe.network.name,
        labels=LabelSet.of(record.labels),
        input=InputSpec(recipe.network.input_size, recipe.network.channels, record.mean, record.std),
        crop=CropSpec(),
        paper=recipe.paper,
        recipe=record.recipe,
        scores=_brief(record.scores),
        reject_threshold=calibration.get("reject_threshold", 0.5) if recipe.data.not_a_face_share else None,
        temperature=calibration.get("temperature", 1.0),
        version=mien.__version__,
    )
    export_onnx(run.network, card, path, use_half_weights=use_half_weights)
    if dataset is None:
        return record.scores
    dataset_split = dataset.split(recipe.data.validation_split)
    model = ExpressionModel.load(path)
    raw = predict_scores(model, dataset_split)
    card = dataclasses.replace(
        card, temperature=fit_temperature(raw.logits[:, : len(card.labels)], dataset_split.labels)
    )
    if card.reject_threshold is not None:
        card = dataclasses.replace(card, reject_threshold=choose_reject_threshold(raw.reject, dataset_split.is_face))
    replace_card(path, card)
    has_twin = twin_mask(dataset, recipe.data.train_split)[dataset.splits == recipe.data.validation_split]
    scores = score(predict_dataset(ExpressionModel.load(path), dataset_split, has_twin))
    scores["selection"] = record.selection
    scores["calibration"] = {"temperature": card.temperature, "reject_threshold": card.reject_threshold}
    replace_card(path, dataclasses.replace(card, scores=_brief(scores)))
    record.scores = scores
    record.save(run.folder / RECORD)
    return scores


def _brief(scores: dict[str, Any]) -> dict[str, Any]:
    """Keep in the card what a user of the file asks first; the rest stands in the run record."""
    keys = ("accuracy", "mean_class_accuracy", "macro_f1", "nll", "ece", "n")
    if not scores:
        return {}
    return {
        **{key: scores[key] for key in (*keys, "dataset", "split", "selection")},
        "recall": {name: row["recall"] for name, row in scores["per_class"].items()},
        "without_twins": {key: scores["without_twins"][key] for key in keys},
    }
