"""Recipes: the settings of a training run, read from TOML and validated before anything starts.

A recipe is named `<network or paper>/<data set>` and lives in `mien/recipes/`; a path to a .toml file works too.
Single values are replaced by `key.subkey=value` (`--set`), whole groups by an `[ablation.<name>]` table.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.core.errors import RecipeError, did_you_mean

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]


class Settings(BaseModel):
    """Base of every group of settings: unknown keys are errors and values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(Settings):
    """Which faces, and what they are called.

    `ferplus_weight` w mixes the data set's own label y and the annotators' votes v into the target (1 - w) y + w v.
    `not_a_face_share` adds that many made non-faces a face to every batch, and one output to the network.
    """

    dataset: str = "fer2013"
    train_split: str = "train"
    validation_split: str = "validation"
    ferplus_weight: Fraction = 0.0
    not_a_face_share: Fraction = 0.0


class NetworkSettings(Settings):
    """A network by name, its input, its options and the modulators after its stages."""

    name: str
    input_size: int = Field(48, ge=8, le=1024)
    channels: Literal[1, 3] = 1
    options: dict[str, Any] = Field(default_factory=dict)
    modulators: dict[str, str | dict[str, Any]] = Field(default_factory=dict)


class LossSettings(Settings):
    """A loss by name, and its options."""

    name: str = "cross_entropy"
    options: dict[str, Any] = Field(default_factory=dict)


class OptimizerSettings(Settings):
    """An optimizer by name, its peak learning rate, decoupled or L2 weight decay as the optimizer has it."""

    name: str = "sgd"
    lr: float = Field(0.1, gt=0)
    weight_decay: NonNegative = 5e-4
    options: dict[str, Any] = Field(default_factory=dict)


class ScheduleSettings(Settings):
    """Linear warm-up, then a cosine to `final_lr_share` of the peak, or a constant rate; counted in steps."""

    name: Literal["cosine", "constant"] = "cosine"
    epochs: int = Field(30, ge=1, le=10_000)
    warmup_epochs: NonNegative = 1.0
    final_lr_share: Fraction = 0.0


class AugmentationSettings(Settings):
    """How far a training face may be changed; all 0: not at all.

    Rotation in degrees; scale and translation as shares of the side; brightness and contrast as shares of their
    value; erasing: the probability of a patch and its largest share of the area. `mixup`: alpha of Beta(alpha, alpha).
    """

    flip: Fraction = 0.5
    rotation: float = Field(0.0, ge=0, le=180)
    scale: float = Field(0.0, ge=0, lt=1)
    translate: Fraction = 0.0
    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    erasing: Fraction = 0.0
    erasing_area: float = Field(0.2, gt=0.02, le=1)
    mixup: NonNegative = 0.0


class TrainingSettings(Settings):
    """How the run is carried out.

    `threads` 0 leaves torch's own choice; `ema_decay` 0 keeps the raw weights; `use_compile` needs a C++ compiler and
    is passed over, with a line about it, where there is none.
    """

    batch_size: int = Field(128, ge=2)
    seed: int = Field(0, ge=0)
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    ema_decay: float = Field(0.0, ge=0, lt=1)
    gradient_clip: NonNegative = 0.0
    selection: Literal["best", "last"] = "best"
    use_compile: bool = False
    use_deterministic: bool = False
    threads: int = Field(0, ge=0)


class Recipe(Settings):
    """Everything that decides the outcome of a run."""

    name: str
    paper: str = ""
    data: DataSettings = DataSettings()
    network: NetworkSettings
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    training: TrainingSettings = TrainingSettings()


def names() -> list[str]:
    """Return the recipes that come with mien, as `<name>/<data set>`, in alphabetical order."""
    return sorted(_shipped())


def load_recipe(name_or_path: str, overrides: Iterable[str] = (), ablation: str | None = None) -> Recipe:
    """Read and validate a recipe.

    Args:
        name_or_path: A name of `names()`, its first half where that is unambiguous, or a path to a .toml file.
        overrides: `key.subkey=value` texts; the value is read as TOML, and as plain text where that fails.
        ablation: Name of an `[ablation.<name>]` table whose keys replace the recipe's.

    Raises:
        RecipeError: No such recipe or ablation, not TOML, an unknown key, or a value that does not fit.
    """
    content = _read(name_or_path)
    ablations = content.pop("ablation", {})
    if ablation is not None:
        if ablation not in ablations:
            raise RecipeError(
                f"Recipe {name_or_path} has no ablation '{ablation}'."
                f"{did_you_mean(ablation, ablations)} Ablations: {', '.join(ablations) or 'none'}."
            )
        _merge(content, ablations[ablation])
    for override in overrides:
        _merge(content, _parse_override(override))
    return parse_recipe(content, name_or_path)


def parse_recipe(content: Mapping[str, Any], source: str) -> Recipe:
    """Validate settings; `RecipeError` names `source` and the first key that does not fit."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        raise RecipeError(f"Recipe {source}: {_explain(error)}") from None


def _shipped() -> dict[str, Traversable]:
    root = files("mien") / "recipes"
    return {
        f"{folder.name}/{file.name.removesuffix('.toml')}": file
        for folder in root.iterdir()
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _read(name_or_path: str) -> dict[str, Any]:
    shipped = _shipped()
    if name_or_path.endswith(".toml"):
        source: Traversable = Path(name_or_path)
        if not source.is_file():
            raise RecipeError(f"No recipe file {name_or_path}.")
    else:
        matches = [name for name in shipped if name_or_path in (name, name.split("/")[0])]
        if len(matches) != 1:
            known = ", ".join(sorted(matches or shipped))
            problem = "is ambiguous" if matches else "is unknown"
            raise RecipeError(
                f"Recipe '{name_or_path}' {problem}.{did_you_mean(name_or_path, shipped)} Recipes: {known}, "
                "or a path to a .toml file."
            )
        source = shipped[matches[0]]
    try:
        return tomllib.loads(source.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"Recipe {name_or_path} is not TOML: {error}.") from None


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


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    where = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = _keys_at(path[:-1])
        return f"unknown key '{where}'.{did_you_mean(path[-1], known)} Keys there: {', '.join(known)}."
    if first["type"] == "missing":
        return f"the key '{where}' is missing."
    return f"'{where}' = {first['input']!r}: {first['msg'].lower()}."


def _keys_at(path: list[str]) -> list[str]:
    settings: type[BaseModel] = Recipe
    for part in path:
        annotation = settings.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        settings = annotation
    return list(settings.model_fields)
