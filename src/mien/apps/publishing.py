"""From a finished run to a model file that says how good it is: export, calibrate, score, write the card."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

import mien
from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.expressions import LabelSet
from mien.data.dataset import FaceDataset
from mien.data.duplicates import twin_mask
from mien.evaluation.calibration import choose_reject_threshold, choose_unsure_threshold, fit_temperature
from mien.evaluation.predict import predict_dataset, predict_scores
from mien.evaluation.scores import score
from mien.export.onnx import export_onnx, make_onnx, replace_card
from mien.export.weights import WeightBits
from mien.inference.model import ExpressionModel
from mien.training.recipe import Recipe
from mien.training.run import RECORD, Run

MODEL = "model.onnx"
MODEL_8_BITS = "model8.onnx"


def publish(run: Run, dataset: FaceDataset | None, path: Path, *, weight_bits: WeightBits = 32) -> dict[str, Any]:
    """Export a run to `path` and, if its data set is given, calibrate and score the file.

    It is calibrated on the validation split and scored on the recipe's scored one, most often the same. The scores go
    into the run record and into the file's card. With 8-bit weights the card gets the file's own scores and what was
    lost (`weights`), the record only the latter, as `weights8`: its scores stay those of the run.

    Args:
        run: A finished run.
        dataset: The run's data set, or None.
        path: File to write.
        weight_bits: As `export_onnx` has it.

    Returns:
        The file's scores; without a data set those of earlier, if any.
    """
    record = run.record
    card = make_card(run, weight_bits)
    export_onnx(run.network, card, path, weight_bits=weight_bits)
    if dataset is None:
        return record.scores
    recipe, selection = Recipe.model_validate(record.recipe), record.selection
    calibrated, scores = calibrate_and_score(ExpressionModel.load(path), recipe, selection, dataset)
    kept = scores
    if weight_bits == 8:
        content, _ = make_onnx(run.network, make_card(run))
        whole = ExpressionModel(content, f"model '{card.name}'")
        _, full = calibrate_and_score(whole, recipe, selection, dataset)
        scores["weights"] = {
            "bits": 8,
            "accuracy_at_32_bits": full["accuracy"],
            "accuracy_loss": full["accuracy"] - scores["accuracy"],
        }
        lost = {"accuracy": scores["accuracy"], "split": scores["split"], **scores["weights"]}
        kept = (record.scores or full) | {"weights8": lost}
    replace_card(path, dataclasses.replace(calibrated, scores=brief_scores(scores)))
    record.scores = kept
    record.save(run.folder / RECORD)
    return scores


def make_card(run: Run, weight_bits: WeightBits = 32) -> ModelCard:
    """Return a run's card with the scores and the calibration of its record: those of 32-bit weights."""
    record, recipe = run.record, Recipe.model_validate(run.record.recipe)
    calibration = record.scores.get("calibration", {})
    unmeasured = {"bits": 8, "accuracy_at_32_bits": record.scores.get("accuracy"), "accuracy_loss": None}
    return ModelCard(
        name=record.name,
        network=recipe.network.name,
        labels=LabelSet.of(record.labels),
        input=InputSpec(recipe.network.input_size, recipe.network.channels, record.mean, record.std),
        crop=CropSpec(),
        paper=recipe.paper,
        recipe=record.recipe,
        scores=brief_scores(record.scores) | ({"weights": unmeasured} if weight_bits == 8 else {}),
        reject_threshold=calibration.get("reject_threshold", 0.5) if recipe.data.not_a_face_share else None,
        temperature=calibration.get("temperature", 1.0),
        unsure_threshold=calibration.get("unsure_threshold"),
        version=mien.__version__,
    )


def calibrate_and_score(
    model: ExpressionModel, recipe: Recipe, selection: Any, dataset: FaceDataset
) -> tuple[ModelCard, dict[str, Any]]:
    """Calibrate a model on the validation split and score it on the recipe's scored one, most often the same.

    Args:
        model: The model.
        recipe: What it was trained by: names the splits.
        selection: How its weights were chosen, as its run record or card says.
        dataset: The recipe's data set.

    Returns:
        The card with the new temperature and threshold, and the scores under it.
    """
    dataset_split = dataset.split(recipe.data.validation_split)
    raw = predict_scores(model, dataset_split)
    card = dataclasses.replace(
        model.card, temperature=fit_temperature(raw.logits[:, : len(model.card.labels)], dataset_split.labels)
    )
    if card.reject_threshold is not None:
        card = dataclasses.replace(card, reject_threshold=choose_reject_threshold(raw.reject, dataset_split.is_face))
    confidences = predict_dataset(model.with_card(card), dataset_split, np.zeros(len(dataset_split), dtype=bool))
    threshold = choose_unsure_threshold(confidences.probabilities, confidences.labels)
    card = dataclasses.replace(card, unsure_threshold=threshold)
    scored_split = recipe.data.scored_split
    has_twin = twin_mask(dataset, recipe.data.train_split)[dataset.splits == scored_split]
    scores = score(predict_dataset(model.with_card(card), dataset.split(scored_split), has_twin))
    scores["selection"] = selection
    scores["calibration"] = {
        name: getattr(card, name) for name in ("temperature", "reject_threshold", "unsure_threshold")
    }
    return card, scores


def brief_scores(scores: dict[str, Any]) -> dict[str, Any]:
    """Keep in the card what a user of the file asks first; the rest stands in the run record."""
    keys = ("accuracy", "mean_class_accuracy", "macro_f1", "nll", "ece", "n")
    if not scores:
        return {}
    return {
        **{key: scores[key] for key in (*keys, "dataset", "split", "selection")},
        **({"weights": scores["weights"]} if "weights" in scores else {}),
        "recall": {name: row["recall"] for name, row in scores["per_class"].items()},
        "without_twins": {key: scores["without_twins"][key] for key in keys},
    }
