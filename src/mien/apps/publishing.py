"""From a finished run to a model file that says how good it is: export, calibrate, score, write the card."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from mien.core.card import ModelCard
from mien.core.errors import DataError
from mien.data.dataset import FaceDataset
from mien.evaluation.calibration import choose_reject_threshold, choose_unsure_threshold, fit_temperature
from mien.evaluation.predict import match_labels, predict_scores, predict_split
from mien.evaluation.scores import score
from mien.export.onnx import export_onnx, make_onnx, replace_card
from mien.export.weights import WeightBits
from mien.inference.model import ExpressionModel
from mien.recipes import Recipe
from mien.recipes.record import RECORD
from mien.training.run import Run, brief_scores, run_card

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
    card = run_card(run)
    if weight_bits == 8:
        unmeasured = {"bits": 8, "accuracy_at_32_bits": record.scores.get("accuracy"), "accuracy_loss": None}
        card = dataclasses.replace(card, scores=card.scores | {"weights": unmeasured})
    export_onnx(run.network, card, path, weight_bits=weight_bits)
    if dataset is None:
        return record.scores
    recipe, selection = Recipe.model_validate(record.recipe), record.selection
    calibrated, scores = calibrate_and_score(ExpressionModel.load(path), recipe, selection, dataset)
    kept = scores
    if weight_bits == 8:
        content, _ = make_onnx(run.network, run_card(run))
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


def check_labels(card: ModelCard, dataset: FaceDataset) -> None:
    """Raise `DataError` where a data set's labels are not exactly the model's: both are counted by their numbers."""
    if dataset.label_set != card.labels:
        raise DataError(
            f"Model '{card.name}' knows {', '.join(card.labels.names)}; data set '{dataset.name}' has "
            f"{', '.join(dataset.label_set.names)}; give the data that it learnt from."
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

    Raises:
        DataError: The data set has other labels than the model, or lacks a split.
    """
    check_labels(model.card, dataset)
    dataset_split = dataset.split(recipe.data.validation_split)
    raw = predict_scores(model, dataset_split)
    card = dataclasses.replace(
        model.card, temperature=fit_temperature(raw.logits[:, : len(model.card.labels)], dataset_split.labels)
    )
    if card.reject_threshold is not None:
        card = dataclasses.replace(card, reject_threshold=choose_reject_threshold(raw.reject, dataset_split.is_face))
    raw = predict_scores(model.with_card(card), dataset_split)
    confidences = match_labels(raw.probabilities, card, dataset.label_set)
    card = dataclasses.replace(card, unsure_threshold=choose_unsure_threshold(confidences, dataset_split.labels))
    train_split, scored_split = recipe.data.train_split, recipe.data.scored_split
    scores = score(predict_split(model.with_card(card), dataset, scored_split, train_split=train_split))
    scores["selection"] = selection
    scores["calibration"] = {
        name: getattr(card, name) for name in ("temperature", "reject_threshold", "unsure_threshold")
    }
    return card, scores
