"""Turn a finished run into a model file: export, calibrate and score it, then write the file and the run record."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.core.card import ModelCard
from mien.core.errors import DataError
from mien.data.dataset import FaceDataset
from mien.evaluation.calibration import choose_reject_threshold, choose_unsure_threshold, fit_temperature
from mien.evaluation.plain_argmax import score_plain_argmax
from mien.evaluation.predict import make_predictions, match_labels, predict_scores
from mien.evaluation.predictions import Predictions
from mien.evaluation.scores import score
from mien.export.model_file import with_card, write_file
from mien.export.onnx import make_onnx
from mien.export.weights import WeightBits
from mien.inference.model import OnnxModel, Scores
from mien.recipes import Recipe
from mien.recipes.record import RECORD
from mien.training.run import Run, brief_scores, run_card

MODEL_16_BITS, MODEL_8_BITS = "model16.onnx", "model8.onnx"


@dataclass(frozen=True)
class Measured:
    """A model's calibration and scores.

    Attributes:
        card: The card with the fitted temperature and thresholds and the main scores.
        scores: All scores of the scored split, JSON-ready.
        predictions: The predictions these scores were computed from.
    """

    card: ModelCard
    scores: dict[str, Any]
    predictions: Predictions


def publish(run: Run, dataset: FaceDataset, path: Path, *, weight_bits: WeightBits = 32) -> Measured:
    """Write a run's model file, calibrated and scored, and store the scores in the run record.

    With 8-bit weights, the card holds the scores of this file and under `weights` its loss against 32 bits. The record
    keeps the 32-bit scores and gets the loss as `weights8`.

    Args:
        run: A finished run.
        dataset: The data set of its recipe, divided by the recipe's protocol.
        path: File to write.
        weight_bits: See `make_onnx`.

    Raises:
        ModelError: torch and onnxruntime disagree.
        DataError: The data set lacks a split or has other labels than the run.
    """
    record, card = run.record, run_card(run)

    def export(bits: WeightBits) -> tuple[bytes, Measured]:
        content = make_onnx(run.network, card, weight_bits=bits)
        model = OnnxModel(content, f"model '{card.name}'")
        return content, measure(model, run.recipe, record.selection, dataset)

    content, measured = export(weight_bits)
    if weight_bits == 8:
        _, full = export(32)
        whole, accuracy = full.scores["accuracy"], measured.scores["accuracy"]
        loss = {"bits": 8, "accuracy_at_32_bits": whole, "accuracy_loss": whole - accuracy}
        scores = measured.scores | {"weights": loss}
        card = dataclasses.replace(measured.card, scores=brief_scores(scores))
        measured = Measured(card, scores, measured.predictions)
        lost = {"accuracy": accuracy, "split": scores["split"], **loss}
        record.scores = (record.scores or full.scores) | {"weights8": lost}
    else:
        record.scores = measured.scores
    write_file(with_card(content, measured.card), path)
    record.save(run.folder / RECORD)
    return measured


def write_unmeasured(run: Run, path: Path, *, weight_bits: WeightBits = 32) -> None:
    """Write a run's model file with the scores and the calibration of its record, if there are any."""
    card = run_card(run)
    if weight_bits == 8:
        unknown = {"bits": 8, "accuracy_at_32_bits": run.record.scores.get("accuracy"), "accuracy_loss": None}
        card = dataclasses.replace(card, scores=card.scores | {"weights": unknown})
    write_file(make_onnx(run.network, card, weight_bits=weight_bits), path)


def measure(
    model: OnnxModel,
    recipe: Recipe,
    selection: dict[str, Any],
    dataset: FaceDataset,
    validation: Scores | None = None,
) -> Measured:
    """Calibrate a model on the validation split and score it on the scored split of its recipe.

    These are usually the same split. The network then runs only once: its logits are calibrated and scored.

    Args:
        model: The model.
        recipe: The recipe it was trained with, which names the splits.
        selection: How its weights were chosen, as in the run record.
        dataset: The recipe's data set.
        validation: The model's scores on the validation split, if already known.

    Raises:
        DataError: The data set has other labels than the model, or lacks a split.
    """
    check_labels(model.card, dataset)
    data = recipe.data
    faces = dataset.split(data.validation_split)
    scored = validation = predict_scores(model, faces) if validation is None else validation
    if data.scored_split != data.validation_split:
        scored = predict_scores(model, dataset.split(data.scored_split))
    card = dataclasses.replace(model.card, scores=model.card.scores | {"selection": selection})
    card = calibrate(card, validation, faces)
    predictions = make_predictions(
        Scores.of(scored.logits, card), card, dataset, data.scored_split, train_split=data.train_split
    )
    scores = score(predictions) | score_plain_argmax([(model, dataset)], data.scored_split, predictions)
    scores["selection"] = selection
    scores["calibration"] = {
        name: getattr(card, name) for name in ("temperature", "reject_threshold", "unsure_threshold")
    }
    return Measured(dataclasses.replace(card, scores=brief_scores(scores)), scores, predictions)


def calibrate(card: ModelCard, scores: Scores, faces: FaceDataset) -> ModelCard:
    """Return the card with the temperature and the thresholds fitted to the scores of these faces."""
    temperature = fit_temperature(scores.logits[:, : len(card.labels)], faces.labels)
    card = dataclasses.replace(card, temperature=temperature)
    if card.reject_threshold is not None:
        card = dataclasses.replace(card, reject_threshold=choose_reject_threshold(scores.reject, faces.is_face))
    probabilities = match_labels(Scores.of(scores.logits, card).probabilities, card, faces.label_set)
    return dataclasses.replace(card, unsure_threshold=choose_unsure_threshold(probabilities, faces.labels))


def check_labels(card: ModelCard, dataset: FaceDataset) -> None:
    """Raise `DataError` if a data set's labels are not exactly the model's, in the same order."""
    if dataset.label_set != card.labels:
        raise DataError(
            f"Model '{card.name}' has the labels {', '.join(card.labels.names)}; data set '{dataset.name}' has "
            f"{', '.join(dataset.label_set.names)}. Give the data set that the model was trained on."
        )
