"""Turn a finished detector run into a model file: export, calibrate and score it, then write file and record."""

from __future__ import annotations

import dataclasses
import io
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import mien
from mien.core.detector_card import METADATA_KEY, DetectorCard
from mien.core.errors import ModelError
from mien.core.face_maps import find_faces
from mien.data.dataset import FaceDataset
from mien.data.scenes.composer import Composer
from mien.data.scenes.photographs import Scenes
from mien.evaluation.calibration import fit_logistic
from mien.evaluation.detection import HIT, IGNORED, Matches, calibration, count, keep_boxes, match
from mien.export.model_file import write_file
from mien.export.onnx import OPSET, TOLERANCE, share_constants
from mien.export.weights import WeightBits, round_to_half, round_to_int8, store_half, store_int8
from mien.inference.onnx_session import start_session
from mien.models.layers.folding import fold
from mien.recipes.record import RECORD
from mien.training.detector.batches import VALIDATION_SEED
from mien.training.detector.fit import shown_faces
from mien.training.detector.run import DetectorRun

DETECTOR = "detector.onnx"
# What the maps are read with before they are calibrated: boxes of any score that may matter.
LOWEST_SCORE = 0.02
# Scenes and photographs are searched for faces of this size, in pixels, and up to this many pixels.
SMALLEST_FACE, BUDGET = 20.0, 4_000_000
# The score from which a box is returned, chosen on photographs; the recognizer then rejects some of the false ones.
THRESHOLD = 0.5


def publish_detector(
    run: DetectorRun, dataset: FaceDataset, scenes: Scenes, path: Path, *, weight_bits: WeightBits = 8
) -> DetectorCard:
    """Write a run's model file, calibrated and scored on what was held back, and store the scores in the run record.

    Args:
        run: A finished run.
        dataset: The faces of its recipe.
        scenes: Its photographs and objects.
        path: File to write.
        weight_bits: How weights are stored, see `make_onnx`.

    Raises:
        ModelError: torch and onnxruntime disagree.
    """
    card = DetectorCard(run.record.name, 1.0, 0.0, 0.5, recipe=run.record.recipe, version=mien.__version__)
    content = make_detector_onnx(run.network, card, weight_bits=weight_bits)
    _, held_back = scenes.divide()
    composer = Composer(shown_faces(dataset, run.recipe.data.validation_split), held_back, (VALIDATION_SEED, 1))
    session = start_session(content, f"detector '{card.name}'")

    def find(grey: NDArray[np.uint8], faces: NDArray[np.float64], ignored: NDArray[np.bool_]) -> Matches:
        rows = find_faces(
            grey,
            lambda level: np.asarray(session.run(["maps"], {"image": level[None, None]})[0][0], dtype=np.float32),
            card,
            smallest_face=SMALLEST_FACE,
            budget=BUDGET,
            least_score=LOWEST_SCORE,
        )
        return match(_boxes(rows[:, :3]), rows[:, 3], _boxes(faces), ignored)

    composed = [composer.scene() for _ in range(run.recipe.scenes.validation)]
    measured = {
        "scenes": [
            find(each.image, np.concatenate([each.faces[:, :3], each.ignored]), _are_last(each.ignored, each.faces))
            for each in composed
        ],
        "photographs": [find(each.image, each.faces, each.is_ignored) for each in held_back.photographs],
    }
    slope, offset = _calibrate(measured.values())
    calibrated = {name: [_with_scores(one, slope, offset) for one in found] for name, found in measured.items()}
    scores = {name: _score(found) for name, found in calibrated.items()}
    card = dataclasses.replace(card, slope=slope, offset=offset, threshold=THRESHOLD, scores=scores)
    run.record.scores = scores
    write_file(_with_card(content, card), path)
    run.record.save(run.folder / RECORD)
    return card


def make_detector_onnx(network: nn.Module, card: DetectorCard, *, weight_bits: WeightBits = 8) -> bytes:
    """Return a detector as the bytes of an .onnx file: `image` (N, 1, H, W) uint8 -> `maps` (N, 6, H / 8, W / 8).

    Args:
        network: Not changed; a folded copy is exported.
        card: The card to store in the file.
        weight_bits: See `make_onnx`.

    Raises:
        ModelError: torch and onnxruntime differ by more than 1e-3 of the largest number in the maps.
    """
    folded = _Bytes(fold(network, torch.zeros(1, 1, 64, 96))).eval()
    if weight_bits < 32:
        {16: round_to_half, 8: round_to_int8}[weight_bits](folded)
    buffer: Any = io.BytesIO()
    image = torch.randint(0, 256, (1, 1, 64, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            folded,
            (image,),
            buffer,
            input_names=["image"],
            output_names=["maps"],
            dynamic_axes={"image": {0: "n", 2: "height", 3: "width"}, "maps": {0: "n", 2: "rows", 3: "columns"}},
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(buffer.getvalue())
    share_constants(model)
    if weight_bits < 32:
        {16: store_half, 8: store_int8}[weight_bits](model)
    content = _with_card(model.SerializeToString(), card)
    maps = start_session(content, f"detector '{card.name}'").run(["maps"], {"image": image.numpy()})[0]
    with torch.inference_mode():
        expected = folded(image).numpy()
    difference = float(np.abs(maps - expected).max() / np.abs(expected).max())
    if not difference <= TOLERANCE:
        raise ModelError(f"Not exported: torch and onnxruntime differ by {difference:.2g}, more than {TOLERANCE:g}.")
    return content


class _Bytes(nn.Module):
    """A network that takes bytes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.network(images.float())
        return maps


def _with_card(content: bytes, card: DetectorCard) -> bytes:
    model = onnx.load_from_string(content)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {METADATA_KEY: card.to_json()})
    written: bytes = model.SerializeToString()
    return written


def _boxes(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return squares cx, cy, side (n, 3) as boxes x, y, width, height (n, 4)."""
    cx, cy, side = squares.T
    return np.stack([cx - side / 2, cy - side / 2, side, side], axis=1)


def _are_last(last: NDArray[np.float64], first: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.arange(len(first) + len(last)) >= len(first)


def _calibrate(found: Iterable[Sequence[Matches]]) -> tuple[float, float]:
    """Return slope and offset for logits, fitted to all boxes that count; scenes and photographs weigh the same."""
    logits, is_face, weights = list[NDArray[np.float64]](), list[NDArray[np.bool_]](), list[NDArray[np.float64]]()
    for matches in found:
        scores, outcomes = _counted(matches)
        logits.append(np.log(scores / (1 - scores)))
        is_face.append(outcomes == HIT)
        weights.append(np.full(len(scores), 1 / max(len(scores), 1)))
    return fit_logistic(np.concatenate(logits), np.concatenate(is_face), np.concatenate(weights))


def _counted(matches: Sequence[Matches]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return scores and outcomes of all boxes except those of ignored faces."""
    scores = np.concatenate([one.scores for one in matches] or [np.zeros(0)])
    outcomes = np.concatenate([one.outcomes for one in matches] or [np.zeros(0, dtype=np.int64)])
    return scores[outcomes != IGNORED], outcomes[outcomes != IGNORED]


def _with_scores(matches: Matches, slope: float, offset: float) -> Matches:
    logits = np.log(matches.scores / (1 - matches.scores))
    return dataclasses.replace(matches, scores=1 / (1 + np.exp(-(slope * logits + offset))))


def _score(matches: Sequence[Matches]) -> dict[str, Any]:
    """Return the counts of boxes above the threshold, and the calibration of all."""
    kept = [keep_boxes(one, one.scores >= THRESHOLD) for one in matches]
    return count(kept) | {"ece": calibration(matches)["ece"]}
