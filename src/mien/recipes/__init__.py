"""Recipes: the schema of a training run's settings, reading and merging them, and the shipped TOML files."""

from mien.recipes.loading import load_ablations, load_recipe, names, parse_recipe
from mien.recipes.schema import Recipe

__all__ = ["Recipe", "load_ablations", "load_recipe", "names", "parse_recipe"]
