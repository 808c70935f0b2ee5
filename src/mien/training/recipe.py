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
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from mien.core.errors import RecipeError, did_you_mean
from mien.training.settings import DataSettings, Fraction, NonNegative, Settings

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


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
    """An optimizer by name, its peak learning rate, decoupled or L2 weight decay as the optimizer has it.

    `sam_rho` above 0 takes every gradient where the loss is largest within that distance (sharpness-aware minimisation,
    Foret et al. 2021): two passes a step.
    """

    name: str = "sgd"
    lr: float = Field(0.1, gt=0)
    weight_decay: NonNegative = 5e-4
    sam_rho: NonNegative = 0.0
    options: dict[str, Any] = Field(default_factory=dict)


class ScheduleSettings(Settings):
    """How the learning rate goes.

    "cosine" and "constant" are counted in steps, after a linear warm-up: a half cosine from the peak to
    `final_lr_share` of it, again every `cycle_epochs` (0: once over the whole run), or the peak throughout.
    "plateau" multiplies the rate by `plateau_factor` once the validation loss has not fallen for more than
    `plateau_patience` epochs; it has no warm-up.
    """

    name: Literal["cosine", "constant", "plateau"] = "cosine"
    epochs: int = Field(30, ge=1, le=10_000)
    warmup_epochs: NonNegative = 1.0
    final_lr_share: Fraction = 0.0
    cycle_epochs: int = Field(0, ge=0)
    plateau_factor: float = Field(0.1, gt=0, lt=1)
    plateau_patience: int = Field(5, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.name == "plateau" and self.warmup_epochs:
            raise ValueError("a plateau schedule has no warm-up; set schedule.warmup_epochs = 0")
        return self


class AugmentationSettings(Settings):
    """How far a training face may be changed; all 0: not at all.

    Rotation in degrees; scale and translation as shares of the side; brightness and contrast as shares of their
    value; erasing: the probability of a patch and its largest share of the area. `noise`: the standard deviation of
    Gaussian noise on every other face, as a share of the range. `grayscale`: the probability of losing the colour.
    `randaugment`: how many random operations of RandAugment each face goes through, at `randaugment_magnitude`, which
    stays below 30.
    `mixup`, `cutmix`: alpha of Beta(alpha, alpha) of the blend's share; with both, each batch takes one at random.
    """

    flip: Fraction = 0.5
    rotation: float = Field(0.0, ge=0, le=180)
    scale: float = Field(0.0, ge=0, lt=1)
    translate: Fraction = 0.0
    brightness: Fraction = 0.0
    contrast: Fraction = 0.0
    erasing: Fraction = 0.0
    erasing_area: float = Field(0.2, gt=0.02, le=1)
    noise: Fraction = 0.0
    grayscale: Fraction = 0.0
    randaugment: int = Field(0, ge=0, le=10)
    randaugment_magnitude: int = Field(10, ge=1, le=29)
    mixup: NonNegative = 0.0
    cutmix: NonNegative = 0.0


class TrainingSettings(Settings):
    """How the run is carried out.

    `batch_size` is that of all processes together: `devices` on each of `nodes` machines, with batch norms over all
    of them when `use_sync_batch_norm` (on accelerators; CPU processes each normalise by their own share). 16 bits of
    `precision` are bf16 on processors, and 32 on those that would emulate it (`mien.training.precision`); `threads` 0
    leaves torch's own choice; `ema_decay` 0 keeps the raw weights; `use_compile` needs a C++ compiler and is passed
    over, with a line about it, where there is none; `use_graphs` records the networks' passes as CUDA graphs and
    replays them, in one process on an accelerator, and is passed over elsewhere. The run ends early after `patience`
    epochs without a better validation accuracy; 0: never. With `workers` above 0 so many processes a loader read
    pictures that are files, each when it is needed: for data larger than memory.
    """

    batch_size: int = Field(128, ge=2)
    seed: int = Field(0, ge=0, lt=2**32)
    precision: Precision = "32-true"
    ema_decay: float = Field(0.0, ge=0, lt=1)
    gradient_clip: NonNegative = 0.0
    selection: Literal["best", "last"] = "best"
    patience: int = Field(0, ge=0)
    use_compile: bool = False
    use_graphs: bool = False
    use_deterministic: bool = False
    threads: int = Field(0, ge=0)
    workers: int = Field(0, ge=0)
    devices: int = Field(1, ge=1)
    nodes: int = Field(1, ge=1)
    use_sync_batch_norm: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        processes = self.devices * self.nodes
        if self.batch_size % processes:
            raise ValueError(f"{processes} processes cannot share training.batch_size = {self.batch_size} evenly")
        if self.use_compile and self.use_graphs:
            raise ValueError("training.use_compile and training.use_graphs exclude each other; set one to false")
        return self


class DistillationSettings(Settings):
    """Learn from trained networks as well (Hinton et al. 2015).

    `teachers` are run folders with the same labels; their mean probabilities, softened by `temperature`,
    are a second target with `weight` w beside (1 - w) of the recipe's loss.
    """

    teachers: list[str] = Field(default_factory=list)
    weight: Fraction = 0.5
    temperature: float = Field(2.0, gt=0)


class Recipe(Settings):
    """Everything that decides the outcome of a run; `ablation` names the table that was applied."""

    name: str
    paper: str = ""
    ablation: str = ""
    data: DataSettings = DataSettings()
    network: NetworkSettings
    loss: LossSettings = LossSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    distillation: DistillationSettings = DistillationSettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        can_clip = self.training.precision == "32-true" or not self.optimizer.options.get("fused")
        if self.training.gradient_clip and not can_clip:
            raise ValueError(
                "training.gradient_clip in mixed precision and a fused optimizer exclude each other; "
                "set optimizer.options.fused = false"
            )
        return self


def names() -> list[str]:
    """Return the recipes that come with mien, as `<name>/<data set>`, in alphabetical order."""
    return sorted(_shipped())


def load_ablations(name_or_path: str) -> dict[str, dict[str, Any]]:
    """Return a recipe's `[ablation.<name>]` tables by name, in their order.

    Raises:
        RecipeError: No such recipe, or not TOML.
    """
    return _ablations(_read(name_or_path), name_or_path)


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
    ablations = _ablations(content, name_or_path)
    content.pop("ablation", None)
    if ablation is not None:
        if ablation not in ablations:
            raise RecipeError(
                f"Recipe {name_or_path} has no ablation '{ablation}'."
                f"{did_you_mean(ablation, ablations)} Ablations: {', '.join(ablations) or 'none'}."
            )
        _merge(content, ablations[ablation])
        content["ablation"] = ablation
    for override in overrides:
        _merge(content, _parse_override(override))
    return parse_recipe(content, name_or_path)


def _ablations(content: Mapping[str, Any], source: str) -> dict[str, dict[str, Any]]:
    tables = content.get("ablation", {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise RecipeError(f"Recipe {source}: 'ablation' holds tables, [ablation.NAME] with settings below each.")
    return tables


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
    if first["type"] == "value_error":  # one of our own validators, about several keys of a group
        return f"{repr(where) + ': ' if where else ''}{first['ctx']['error']}."
    return f"'{where}' = {first['input']!r}: {first['msg'].lower()}."


def _keys_at(path: list[str]) -> list[str]:
    settings: type[BaseModel] = Recipe
    for part in path:
        annotation = settings.model_fields[part].annotation
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        settings = annotation
    return list(settings.model_fields)
