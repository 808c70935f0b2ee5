"""From a model to a file that calculates in fewer bits: convert, check, measure the loss, write it into the card."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import mien
from mien.apps.publishing import calibrate_and_score, check_labels
from mien.core.card import InputSpec, ModelCard
from mien.core.errors import DataError, ModelError
from mien.core.image import to_batch
from mien.data.dataset import FaceDataset
from mien.evaluation.predict import predict_scores
from mien.export.model_file import with_card, write_file
from mien.export.onnx import make_onnx
from mien.export.quantization import check_parity, halve, quantize
from mien.inference.model import ExpressionModel, read_model
from mien.recipes import Recipe, parse_recipe
from mien.recipes.record import RECORD
from mien.training.batches import load_data
from mien.training.run import brief_scores, load_run, run_card

LoweredPrecision = Literal["float16", "int8"]
# How a lowered file is called, and its model in tables.
SUFFIXES: dict[LoweredPrecision, str] = {"float16": "fp16", "int8": "int8"}
# More change nothing beyond chance: results/quantization.json.
CALIBRATION_FACES = 512
# Points of accuracy; less than the standard error of an accuracy on 3,600 faces.
LARGEST_LOSS = 0.5


@dataclass(frozen=True)
class Source:
    """A model in 32 bits and what it came from: the recipe it was trained by, and how its weights were chosen."""

    model: ExpressionModel
    content: bytes
    recipe: Recipe
    selection: Any


def read_source(source: str) -> Source:
    """Read a run folder, or a model by its name or .onnx file.

    Raises:
        MienError: It is none of these, or a model whose card has no recipe.
    """
    if (Path(source) / RECORD).is_file() or Path(source).is_dir():
        run = load_run(Path(source))
        content, _ = make_onnx(run.network, run_card(run))
        recipe, selection = parse_recipe(run.record.recipe, str(Path(source) / RECORD)), run.record.selection
        return Source(ExpressionModel(content, source), content, recipe, selection)
    content, name = read_model(source)
    model = ExpressionModel(content, name)
    if model.card.precision != "float32":
        raise ModelError(f"{name} calculates in {model.card.precision} already; give the model that it was made of.")
    if not model.card.recipe:
        raise ModelError(
            f"{name} has no recipe in its card: the faces it was trained on are unknown. Give a run folder."
        )
    recipe = parse_recipe(model.card.recipe, f"in the card of {name}")
    return Source(model, content, recipe, model.card.scores.get("selection", {}))


def lower(  # noqa: PLR0913 - what, to where, and how much may be lost
    source: Source,
    data: Path | None,
    path: Path,
    precision: LoweredPrecision,
    *,
    faces: int = CALIBRATION_FACES,
    largest_loss: float = LARGEST_LOSS,
) -> ModelCard:
    """Write a model in fewer bits, with what it lost in its card, and return the card.

    The loss is that of the accuracy on the recipe's validation split, both files scored in this run. The file gets a
    temperature and a threshold for "not a face" of its own, and its own scores.

    Args:
        source: The model in 32 bits.
        data: The recipe's data set; None for a recipe that needs none.
        path: File to write.
        precision: What it is to calculate in.
        faces: Training faces that int8 is calibrated with, evenly spaced over the split; all where it has fewer.
        largest_loss: Points of accuracy that may be lost.

    Raises:
        ModelError: More is lost, or the file does not pass its checks; nothing is written.
        DataError: The data set cannot be read, or has no training faces.
    """
    dataset = load_data(source.recipe, data)
    card = source.model.card
    used = _calibration_faces(dataset, source.recipe.data.train_split, card.input, faces)
    content = quantize(source.content, used, source.model.source) if precision == "int8" else halve(source.content)
    lowered_card = dataclasses.replace(
        card, name=f"{card.name} ({SUFFIXES[precision]})", version=mien.__version__, precision=precision
    )
    content = with_card(content, lowered_card)
    model = ExpressionModel(content, f"model '{lowered_card.name}'")
    check_parity(model, used)
    check_labels(card, dataset)
    comparison = _compare(source.model, model, dataset.split(source.recipe.data.validation_split))
    _check_loss(comparison, largest_loss)
    calibrated, scores = calibrate_and_score(model, source.recipe, source.selection, dataset)
    how = {"method": "static, per channel, range of values", "calibration_faces": len(used)}
    made = comparison | (how if precision == "int8" else {})
    written = dataclasses.replace(calibrated, scores=brief_scores(scores), lowered=made)
    write_file(with_card(content, written), path)
    return written


def _calibration_faces(dataset: FaceDataset, split: str, spec: InputSpec, count: int) -> NDArray[np.float32]:
    training = dataset.split(split)
    if not len(training):
        raise DataError(f"Data set '{dataset.name}' has no faces in '{split}' to calibrate with.")
    rows = np.unique(np.linspace(0, len(training) - 1, min(count, len(training))).round().astype(int))
    return to_batch([training.images[row] for row in rows], spec)


def _compare(whole: ExpressionModel, lowered: ExpressionModel, faces: FaceDataset) -> dict[str, Any]:
    """Score both models on the same faces: their accuracies, the loss as a share, and how far they agree."""
    before, after = (predict_scores(model, faces).probabilities for model in (whole, lowered))
    accuracies = [float(np.mean(found.argmax(axis=1) == faces.labels)) for found in (before, after)]
    return {
        "split": str(faces.splits[0]),
        "n": len(faces),
        "accuracy_at_32_bits": accuracies[0],
        "accuracy": accuracies[1],
        "accuracy_loss": accuracies[0] - accuracies[1],
        "same_label": float(np.mean(before.argmax(axis=1) == after.argmax(axis=1))),
        "largest_probability_difference": float(np.abs(before - after).max()),
    }


def _check_loss(comparison: dict[str, Any], largest_loss: float) -> None:
    points = 100 * comparison["accuracy_loss"]
    if not points <= largest_loss:
        raise ModelError(
            f"Not exported: {points:.2f} points of accuracy are lost ({100 * comparison['accuracy']:.2f} % against "
            f"{100 * comparison['accuracy_at_32_bits']:.2f} % of {comparison['n']} {comparison['split']} faces); "
            f"at most {largest_loss:g} may be. To write it anyway, give --allow-loss {np.ceil(10 * points) / 10:g}."
        )
