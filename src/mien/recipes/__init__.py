"""Recipes: the schema of a training run's settings, reading and merging them, and the shipped TOML files."""

from mien.recipes.detector_schema import DetectorRecipe
from mien.recipes.loading import (
    detector_names,
    is_detector_recipe,
    load_ablations,
    load_detector_recipe,
    load_recipe,
    names,
    parse_detector_recipe,
    parse_recipe,
)
from mien.recipes.schema import Recipe

__all__ = [
    "DetectorRecipe",
    "Recipe",
    "detector_names",
    "is_detector_recipe",
    "load_ablations",
    "load_detector_recipe",
    "load_recipe",
    "names",
    "parse_detector_recipe",
    "parse_recipe",
]
