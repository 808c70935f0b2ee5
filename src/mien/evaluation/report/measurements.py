"""What a results folder contains besides runs: latency, peak memory, and robustness of models without a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mien.core.dotted import finite
from mien.core.errors import DataError
from mien.evaluation.report.runs import Warn, look_up, read_json
from mien.recipes.record import RECORD

FILES = ("latency.json", "memory.json", "robustness.json")
# A model's name, and its input as (channels, height, width): runs at other sizes often have the same name.
Key = tuple[str, tuple[int, ...]]


@dataclass(frozen=True)
class Footprint:
    """The cost of one face with a model, as `mien bench` measures it; None if not measured.

    Attributes:
        latency_ratio: How many times faster it is than ResNet-18 at 224 x 224 in the same run.
        memory_mib: Peak memory in MiB, above that of numpy and onnxruntime.
        memory_ratio: ResNet-18's peak divided by it, in the same run.
    """

    latency_ratio: float | None = None
    memory_mib: float | None = None
    memory_ratio: float | None = None


@dataclass(frozen=True)
class Measurements:
    """Footprints by model name and input, and the robustness records of models without a run."""

    footprints: Mapping[Key, Footprint] = field(default_factory=dict)
    robustness: tuple[Mapping[str, Any], ...] = ()


def read_measurements(results: Path, warn: Warn) -> Measurements:
    """Read every latency.json and memory.json of a folder, and every robustness.json without a run record beside it.

    Args:
        results: The results folder.
        warn: Called with one line for each file that is left out.
    """
    footprints: dict[Key, Footprint] = {}
    robustness = []
    for path in sorted(path for name in FILES for path in results.rglob(name)):
        if path.name == "robustness.json" and path.with_name(RECORD).exists():
            continue
        try:
            record = read_json(path)
        except DataError as error:
            warn(f"left out: {error}")
            continue
        if not isinstance(record, dict):
            warn(f"left out: {path} is not a JSON object.")
        elif path.name == "robustness.json":
            robustness.append(record)
        elif path.name == "latency.json":
            _add(footprints, record.get("model"), latency_ratio=record.get("ratio"))
        else:
            models = record.get("models")
            for model in models if isinstance(models, list) else ():
                _add(footprints, model, memory_mib=look_up(model, "mib"), memory_ratio=look_up(model, "ratio"))
    return Measurements(footprints, tuple(robustness))


def _add(footprints: dict[Key, Footprint], model: object, **measured: object) -> None:
    sides = look_up(model, "input")
    shape = tuple(sides[1:]) if isinstance(sides, list) and all(type(side) is int for side in sides) else ()
    key = (str(look_up(model, "network")), shape)
    numbers = {name: finite(value) for name, value in measured.items()}
    footprints[key] = replace(footprints.get(key, Footprint()), **numbers)
