"""A recipe of a tiny network that trains on drawn faces in seconds."""

from __future__ import annotations

from typing import Any

from mien.recipes import Recipe

TINY: dict[str, Any] = {
    "name": "tiny",
    "data": {"dataset": "synthetic"},
    "network": {"name": "resnet18", "input_size": 16, "options": {"width": 4, "stem": "small"}},
    "optimizer": {"name": "sgd", "lr": 0.01},
    "schedule": {"epochs": 1, "warmup_epochs": 0},
    "training": {"batch_size": 32, "threads": 1},
}


def tiny_recipe(**groups: Any) -> Recipe:
    """Return the recipe with settings of some groups replaced: `schedule={"epochs": 3}`."""
    changed = {key: TINY[key] | new if isinstance(new, dict) and key in TINY else new for key, new in groups.items()}
    return Recipe.model_validate(TINY | changed)
