"""What a results folder holds besides runs: latency, peak memory, and robustness records of models without a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mien.core.dotted import finite, group
from mien.core.errors import DataError
from mien.evaluation.report.runs import Warn, read_json
from mien.recipes.record import RECORD

ROBUSTNESS = "robustness.json"
# A model's name, and its input as (channels, height, width): runs at another size often have the same name.
Key = tuple[str, tuple[int, ...]]
# Fields of `Footprint`.
Found = Mapping[Key, Mapping[str, float | None]]


@dataclass(frozen=True)
class Footprint:
    """What one face takes with a model, as `mien bench` measures it; None where it did not.

    Attributes:
        latency_ratio: How many times faster it is than with ResNet-18 at 224 x 224 in the same run.
        memory_mib: Peak memory in MiB, above numpy and onnxruntime themselves.
        memory_ratio: ResNet-18's peak over it, in the same run.
    """

    latency_ratio: float | None = None
    memory_mib: float | None = None
    memory_ratio: float | None = None


@dataclass(frozen=True)
class Measurements:
    """Footprints by model name and input, and what `mien robustness` wrote of models that have no run there."""

    footprints: Mapping[Key, Footprint] = field(default_factory=dict)
    robustness: tuple[Mapping[str, object], ...] = ()


def read_measurements(results: Path, warn: Warn) -> Measurements:
    """Read every latency.json and memory.json below a folder, and every robustness.json that lies beside no run record.

    Args:
        results: The results folder.
        warn: Told in one line, naming the file, what is left out.
    """
    footprints: dict[Key, Footprint] = {}
    robustness = []
    for path in sorted(path for name in (*_READERS, ROBUSTNESS) for path in results.rglob(name)):
        if path.name == ROBUSTNESS and path.with_name(RECORD).exists():
            continue
        try:
            record = read_json(path)
        except DataError as error:
            warn(f"left out: {error}")
            continue
        if not isinstance(record, dict):
            warn(f"left out: {path} holds no object.")
        elif path.name == ROBUSTNESS:
            robustness.append(record)
        else:
            for model, found in _READERS[path.name](record).items():
                footprints[model] = replace(footprints.get(model, Footprint()), **found)
    return Measurements(footprints, tuple(robustness))


def _read_latency(record: Mapping[str, Any]) -> Found:
    return {_key(group(record, "model")): {"latency_ratio": finite(record.get("ratio"))}}


def _read_memory(record: Mapping[str, Any]) -> Found:
    models = record.get("models")
    return {
        _key(model): {"memory_mib": finite(model.get("mib")), "memory_ratio": finite(model.get("ratio"))}
        for model in (models if isinstance(models, list) else ())
        if isinstance(model, dict)
    }


def _key(model: Mapping[str, Any]) -> Key:
    sides = model.get("input")
    shape = tuple(sides[1:]) if isinstance(sides, list) and all(type(side) is int for side in sides) else ()
    return str(model.get("network")), shape


_READERS = {"latency.json": _read_latency, "memory.json": _read_memory}
