"""Measure what dim light, noise and inexact face boxes cost a model on PublicTest.

Besides two corruptions of `mien robustness` (one stop less light, noise of 8 levels): half of the light, without noise
and with shot noise (Poisson, 160 electrons at white); crops of 85 and 115 % of the frame; and crops shifted by 8 % of
its side to the left, right, top and bottom. What a crop shows beyond the frame is the frame's border, repeated.

    python -m lab.benchmarks.conditions default --data FER2013 --out results/conditions.json
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.command import make_parser, write_record
from mien.data import registry
from mien.evaluation.corruptions import corrupt
from mien.evaluation.predict import Change, predict_scores
from mien.inference.model import OnnxModel

Image = NDArray[np.uint8]
ELECTRONS = 160
SCALE, SHIFT = 0.15, 0.08


def dim(image: Image, number: int, *, electrons: int = 0) -> Image:
    """Return an image with half of its light, and with shot noise if the electrons at white are given."""
    light = image / 255 / 2
    if electrons:
        light = np.random.default_rng(number).poisson(light * electrons) / electrons
    return np.asarray(np.clip(light * 255, 0, 255).round(), dtype=np.uint8)


def crop(image: Image, _number: int, *, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> Image:
    """Return the crop of `scale` times the frame's side, shifted by shares of the side."""
    side = image.shape[0]
    offsets = [side * (0.5 - scale / 2 + part) for part in shift]
    matrix = np.array([[scale, 0, offsets[0]], [0, scale, offsets[1]]])
    way = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix, (side, side), flags=way, borderMode=cv2.BORDER_REPLICATE))


# By group: the score of a group is the mean over its changes.
CONDITIONS: dict[str, list[Change | None]] = {
    "clean": [None],
    "one_stop_less_light": [lambda image, number: corrupt(image, "low_light", 1, number)],
    "noise_8": [lambda image, number: corrupt(image, "noise", 1, number)],
    "half_light": [dim],
    "half_light_shot_noise": [partial(dim, electrons=ELECTRONS)],
    "scale": [partial(crop, scale=1 - SCALE), partial(crop, scale=1 + SCALE)],
    "shift": [partial(crop, shift=shift) for shift in ((-SHIFT, 0), (SHIFT, 0), (0, -SHIFT), (0, SHIFT))],
}


def measure(model: OnnxModel, faces: Any, report: Callable[[str], None]) -> dict[str, Any]:
    """Return the accuracy under each condition, and its loss in points."""
    accuracy = {}
    for name, changes in CONDITIONS.items():
        scores = [predict_scores(model, faces, change=change).probabilities for change in changes]
        accuracy[name] = float(np.mean([np.mean(score.argmax(1) == faces.labels) for score in scores]))
        report(f"{model.card.name} {name}: {accuracy[name]:.2%}")
    loss = {name: round(100 * (accuracy["clean"] - value), 2) for name, value in accuracy.items() if name != "clean"}
    return {"accuracy": {name: round(value, 4) for name, value in accuracy.items()}, "loss": loss}


def main() -> None:
    """Measure every model."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("models", nargs="+", help="models by name, .onnx files or run folders")
    options = parser.parse_args()
    faces = registry.load("fer2013", options.data).split("validation")
    record: dict[str, Any] = {"split": "validation", "n": len(faces), "electrons": ELECTRONS}
    for name in options.models:
        model = OnnxModel.load(name, threads=2)
        record[model.card.name] = measure(model, faces, lambda line: print(line, flush=True))
    write_record(record, options.out)


if __name__ == "__main__":
    main()
