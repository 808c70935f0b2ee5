"""Torch networks whose evidence is known, and run folders made without training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.core.card import CropSpec, InputSpec, ModelCard
from mien.core.expressions import FER2013_LABELS
from mien.models import registry
from mien.models.network import Network, Stage
from mien.recipes import Recipe
from mien.recipes.record import CHECKPOINTS, RECORD, RunRecord

HAPPY, SAD = 3, 4
SIZE = 48


class BrightOrDark(Network):
    """Says "happy" of bright places and "sad" of dark ones; the maps of both stages are the brightness itself.

    Stage `coarse` reads every fourth pixel by two convolutions of stride 2 that blur by 3 x 3.
    """

    def __init__(self) -> None:
        super().__init__([Stage("fine", 2, 1), Stage("coarse", 2, 4)], in_channels=1, num_classes=7, feature_size=2)
        self.sign = nn.Conv2d(1, 2, 1, bias=False)
        self.blur = nn.Conv2d(2, 2, 3, 2, 1, groups=2, bias=False)
        self.fc = nn.Linear(2, 7, bias=False)
        with torch.no_grad():
            self.sign.weight[:] = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
            self.blur.weight[:] = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
            self.fc.weight.zero_()
            self.fc.weight[HAPPY] = torch.tensor([20.0, -20.0])
            self.fc.weight[SAD] = torch.tensor([-20.0, 20.0])

    def run_stage(self, name: str, maps: Tensor) -> Tensor:
        if name == "fine":
            return F.relu(self.sign(maps))
        return self.blur(self.blur(maps))

    def classify(self, features: Tensor) -> Tensor:
        return self.fc(features)


def card_of(size: int = SIZE, channels: int = 1, network: str = "tiny") -> ModelCard:
    """Return a card of FER2013's labels."""
    return ModelCard("tiny", network, FER2013_LABELS, InputSpec(size, channels), CropSpec(shift_y=0))


def planted_images(places: list[tuple[int, int]], height: int, width: int, side: int = 8) -> NDArray[np.float32]:
    """Return mean-grey images (n, 1, height, width), each with a bright square that has its upper left corner there."""
    images = np.zeros((len(places), 1, height, width), dtype=np.float32)
    for image, (y, x) in zip(images, places, strict=True):
        image[0, y : y + side, x : x + side] = 2.0
    return images


def save_run(folder: Path, network: dict[str, object]) -> Path:
    """Write a run folder as training leaves it, with random weights, and return it."""
    recipe = Recipe.model_validate({"name": "tiny", "data": {"dataset": "synthetic"}, "network": network})
    torch.manual_seed(0)
    made = registry.create(
        recipe.network.name,
        in_channels=recipe.network.channels,
        options=recipe.network.options,
        modulators=recipe.network.modulators,
    )
    labels = list(FER2013_LABELS.names)
    (folder / CHECKPOINTS).mkdir(parents=True)
    RunRecord("tiny", recipe.model_dump(), {}, labels, parameters=0, mean=0.5, std=0.25).save(folder / RECORD)
    state = {f"network.{name}": tensor for name, tensor in made.state_dict().items()}
    for name in ("best", "last"):
        torch.save({"state_dict": state, "epoch": 0}, folder / CHECKPOINTS / f"{name}.ckpt")
    return folder
