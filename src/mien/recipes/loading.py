"""Reading recipes: by name from this package or from a TOML file, with ablations and single settings merged in.

A recipe is named `<network or paper>/<data set>`. `key.subkey=value` (`--set`) replaces one setting, an
`[ablation.<name>]` table several. A table with `extends = "<another>"` adds its keys to those of an earlier one.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mien.core.errors import RecipeError, did_you_mean
from mien.core.text import read_text
from mien.recipes.detector_schema import DetectorRecipe
from mien.recipes.schema import Recipe

DETECTOR_FOLDER = "detector/"
# Folders whose recipes are listed first.
FIRST = ("finetune", "default")


def names() -> list[str]:
    """Return the shipped recipes as `<name>/<data set>`, sorted; those of face detectors are in `detector_names`.

    >>> "default/fer2013" in names()
    True
    """
    return sorted(name for name in _shipped() if not name.startswith(DETECTOR_FOLDER))


def detector_names() -> list[str]:
    """Return the shipped recipes of face detectors, sorted.

    >>> detector_names()
    ['detector/faces']
    """
    return sorted(name for name in _shipped() if name.startswith(DETECTOR_FOLDER))


def describe_recipes() -> list[dict[str, str]]:
    """Return name, data set and a few words on each shipped recipe, those to start with first."""
    rows = []
    for name, file in sorted(_shipped().items(), key=_rank):
        content = read_recipe(name)
        comment = " ".join(
            line.removeprefix("# ") for line in takewhile(_is_comment, file.read_text("utf-8").splitlines())
        )
        # a paper's comment quotes its title: the name and the authors are enough
        what = comment.split(', "')[0] if content.get("paper") else comment.split(". ")[0]
        rows.append(
            {"recipe": name, "dataset": content.get("data", {}).get("dataset", "fer2013"), "what": what.rstrip(".")}
        )
    return rows


def _rank(item: tuple[str, Path]) -> tuple[int, str]:
    folder = item[0].split("/")[0]
    return FIRST.index(folder) if folder in FIRST else len(FIRST), item[0]


def _is_comment(line: str) -> bool:
    return line.startswith("#")


def is_detector_recipe(name_or_path: str) -> bool:
    """Return whether a recipe trains a face detector; `RecipeError` if there is no such recipe."""
    return read_recipe(name_or_path).get("task") == "detector"


def load_detector_recipe(name_or_path: str, overrides: Iterable[str] = ()) -> DetectorRecipe:
    """Read and validate the recipe of a face detector; see `load_recipe`."""
    content = read_recipe(name_or_path)
    for override in overrides:
        _merge(content, _parse_override(override))
    return parse_detector_recipe(content, name_or_path)


def parse_detector_recipe(content: Mapping[str, Any], source: str) -> DetectorRecipe:
    """Validate settings; `RecipeError` names `source` and the first key that is wrong."""
    try:
        return DetectorRecipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"Recipe {source}: {_explain(error, DetectorRecipe)}") from None


def load_ablations(name_or_path: str) -> dict[str, dict[str, Any]]:
    """Return a recipe's `[ablation.<name>]` tables by name, in their order.

    Raises:
        RecipeError: No such recipe, or not TOML.
    """
    return _take_ablations(read_recipe(name_or_path), name_or_path)


def load_recipe(name_or_path: str, overrides: Iterable[str] = (), ablation: str | None = None) -> Recipe:
    """Read and validate a recipe.

    >>> load_recipe("resnet18/synthetic", ["schedule.epochs=5"]).schedule.epochs
    5

    Args:
        name_or_path: A name of `names()`, its first half if that is unambiguous, or a path to a .toml file.
        overrides: `key.subkey=value` texts; the value is read as TOML, or else as plain text.
        ablation: Name of an `[ablation.<name>]` table whose keys replace the recipe's.

    Raises:
        RecipeError: No such recipe or ablation, not TOML, an unknown key, or a value out of range.
    """
    content = read_recipe(name_or_path)
    ablations = _take_ablations(content, name_or_path)
    if ablation is not None:
        if ablation not in ablations:
            raise RecipeError(
                f"Recipe {name_or_path} has no ablation '{ablation}'."
                f"{did_you_mean(ablation, ablations)} Ablations: {', '.join(ablations) or 'none'}."
            )
        _merge(content, {**ablations[ablation], "ablation": ablation})
    for override in overrides:
        _merge(content, _parse_override(override))
    return parse_recipe(content, name_or_path)


def parse_recipe(content: Mapping[str, Any], source: str) -> Recipe:
    """Validate settings; `RecipeError` names `source` and the first key that is wrong."""
    if content.get("task") == "detector":
        raise RecipeError(f"Recipe {source} trains a face detector, which only `mien train` does; name another recipe.")
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"Recipe {source}: {_explain(error, Recipe)}") from None


def _shipped() -> dict[str, Path]:
    """Return the TOML files in this package's folders."""
    return {f"{file.parent.name}/{file.stem}": file for file in Path(__file__).parent.glob("*/*.toml")}


def read_recipe(name_or_path: str) -> dict[str, Any]:
    """Return the content of a recipe's file; `RecipeError` if there is none or it is not TOML."""
    source = Path(name_or_path)
    if not name_or_path.endswith(".toml"):
        shipped = _shipped()
        matches = [name for name in shipped if name_or_path in (name, name.split("/")[0])]
        if len(matches) != 1:
            raise RecipeError(
                f"Recipe '{name_or_path}' is {'ambiguous' if matches else 'unknown'}."
                f"{did_you_mean(name_or_path, shipped)} Recipes: {', '.join(sorted(matches or shipped))}, or a path to "
                "a .toml file."
            )
        source = shipped[matches[0]]
    elif not source.is_file():
        raise RecipeError(f"No recipe file {name_or_path}.")
    try:
        return tomllib.loads(read_text(source))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"Recipe {name_or_path} is not TOML: {error}.") from None


def _take_ablations(content: dict[str, Any], source: str) -> dict[str, dict[str, Any]]:
    """Remove the ablations from a file's content and return them."""
    tables = content.pop("ablation", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise RecipeError(f"Recipe {source}: 'ablation' holds tables, [ablation.NAME] with settings below each.")
    return _extend(tables, source)


def _extend(tables: dict[str, dict[str, Any]], source: str) -> dict[str, dict[str, Any]]:
    """Put into each table with a key `extends` the settings of the earlier table that it names, below its own."""
    known: dict[str, dict[str, Any]] = {}
    for name, table in tables.items():
        merged: dict[str, Any] = {}
        base = table.pop("extends", None)
        if base is not None:
            if base not in known:
                raise RecipeError(
                    f"Recipe {source}: the ablation '{name}' extends '{base}', which is not an earlier ablation."
                    f"{did_you_mean(str(base), known)}"
                )
            _merge(merged, copy.deepcopy(known[base]))
        _merge(merged, table)
        known[name] = merged
    return known


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {text}: expected key.subkey=value, such as schedule.epochs=5.")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def _merge(into: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _explain(error: ValidationError, schema: type[BaseModel]) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    where = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = _keys_at(path[:-1], schema)
        return f"unknown key '{where}'.{did_you_mean(path[-1], known)} Keys there: {', '.join(known)}."
    if first["type"] == "missing":
        return f"the key '{where}' is missing."
    if first["type"] == "value_error":  # one of our own validators, about several keys of a group
        return f"{repr(where) + ': ' if where else ''}{first['ctx']['error']}."
    return f"'{where}' = {first['input']!r}: {first['msg'].lower()}."


def _keys_at(path: list[str], schema: type[BaseModel]) -> list[str]:
    settings = schema
    for part in path:
        annotation = settings.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        settings = annotation
    return list(settings.model_fields)
