"""Convert a model to half precision or int8, measure the loss of accuracy, and store it in the card."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import mien
from mien.core.card import InputSpec, ModelCard
from mien.core.errors import DataError, ModelError
from mien.core.image import to_batch
from mien.data.dataset import FaceDataset
from mien.evaluation.predict import predict_scores
from mien.export.model_file import with_card, write_file
from mien.export.onnx import make_onnx
from mien.export.publish import check_labels, measure
from mien.export.quantization import check_parity, halve, quantize
from mien.inference.model import OnnxModel, Scores
from mien.inference.model_files import read_model
from mien.recipes import Recipe, parse_recipe
from mien.training.loading import load_data
from mien.training.run import load_run, run_card

Target = Literal["float16", "int8"]
# Appended to the model's name and used in file names.
SUFFIXES: dict[Target, str] = {"float16": "fp16", "int8": "int8"}
# More faces make no significant difference: results/quantization.json.
CALIBRATION_FACES = 512
# Points of accuracy; less than the standard error of an accuracy on 3,600 faces.
LARGEST_LOSS = 0.5


@dataclass(frozen=True)
class Source:
    """A 32-bit model, its file's bytes, the recipe it was trained with and how its weights were chosen."""

    model: OnnxModel
    content: bytes
    recipe: Recipe
    selection: dict[str, Any]


def read_source(source: str) -> Source:
    """Read a run folder, or a model by name or .onnx file.

    Raises:
        MienError: It is neither, the model is already converted, or its card has no recipe.
    """
    if Path(source).is_dir():
        run = load_run(Path(source))
        content = make_onnx(run.network, run_card(run))
        return Source(OnnxModel(content, source), content, run.recipe, run.record.selection)
    content, name = read_model(source)
    model = OnnxModel(content, name)
    if model.card.precision != "float32":
        raise ModelError(f"{name} is already converted to {model.card.precision}; give the 32-bit model.")
    if not model.card.recipe:
        raise ModelError(f"{name} has no recipe in its card, so its training data are unknown. Give a run folder.")
    recipe = parse_recipe(model.card.recipe, f"in the card of {name}")
    return Source(model, content, recipe, model.card.scores.get("selection", {}))


def convert(source: Source, data: Path | None, path: Path, target: Target, largest_loss: float) -> ModelCard:
    """Write a converted model and return its card, whose `conversion` holds the loss.

    The loss is the difference in accuracy on the recipe's validation split. The converted model gets its own
    temperature, thresholds and scores.

    Args:
        source: The 32-bit model.
        data: The recipe's data set; None for a recipe that needs none.
        path: File to write.
        target: The type of number that the converted model computes with.
        largest_loss: Largest loss of accuracy to accept, in percentage points.

    Raises:
        ModelError: The loss is larger, or the file fails its checks; nothing is written.
        DataError: The data set cannot be read, or has no training faces.
    """
    dataset = load_data(source.recipe, data)
    card = source.model.card
    check_labels(card, dataset)
    used = _calibration_faces(dataset, source.recipe.data.train_split, card.input)
    content = quantize(source.content, used, source.model.source) if target == "int8" else halve(source.content)
    name = f"{card.name} ({SUFFIXES[target]})"
    content = with_card(content, dataclasses.replace(card, name=name, version=mien.__version__, precision=target))
    model = OnnxModel(content, f"model '{name}'")
    check_parity(model, used)
    validation = dataset.split(source.recipe.data.validation_split)
    scores = predict_scores(model, validation)
    conversion = _compare(predict_scores(source.model, validation), scores, validation)
    points = 100 * conversion["accuracy_loss"]
    if not points <= largest_loss:
        raise ModelError(
            f"Not exported: {points:.2f} points of accuracy are lost ({100 * conversion['accuracy']:.2f} % against "
            f"{100 * conversion['accuracy_at_32_bits']:.2f} % of {conversion['n']} {conversion['split']} faces); "
            f"at most {largest_loss:g} may be. To write it anyway, give --allow-loss {np.ceil(10 * points) / 10:g}."
        )
    if target == "int8":
        conversion |= {"method": "static, per channel, range of values", "calibration_faces": len(used)}
    measured = measure(model, source.recipe, source.selection, dataset, scores)
    card = dataclasses.replace(measured.card, conversion=conversion)
    write_file(with_card(content, card), path)
    return card


def _calibration_faces(dataset: FaceDataset, split: str, spec: InputSpec) -> NDArray[np.float32]:
    """Return at most `CALIBRATION_FACES` training faces, evenly spaced over the split."""
    training = dataset.split(split)
    if not len(training):
        raise DataError(f"Data set '{dataset.name}' has no faces in '{split}' to calibrate with.")
    count = min(CALIBRATION_FACES, len(training))
    rows = np.unique(np.linspace(0, len(training) - 1, count).round().astype(int))
    return to_batch([training.images[row] for row in rows], spec)


def _compare(full: Scores, converted: Scores, faces: FaceDataset) -> dict[str, Any]:
    """Return both accuracies on the same faces, the loss as a fraction, and how often both give the same label."""
    before, after = full.probabilities, converted.probabilities
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
