"""The measurements in a results folder apart from runs: latency, peak memory, robustness of models without a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from mien.core.dotted import finite
from mien.evaluation.report.runs import Warn, look_up, read_json, read_optional
from mien.recipes.record import RECORD

# A model's name, and its input as (channels, height, width): runs at other sizes often have the same name.
Key: TypeAlias = tuple[str, tuple[int, ...]]
# `latency_ratio` and `memory_ratio`, ResNet-18's over the model's in the same run, and `memory_mib`; as measured.
Footprint: TypeAlias = dict[str, float | None]


def read_footprints(results: Path, warn: Warn) -> dict[Key, Footprint]:
    """Read every latency.json and memory.json of a folder; `warn` gets one line for each file that is left out."""
    footprints: dict[Key, Footprint] = defaultdict(dict)

    def add(model: object, **measured: object) -> None:
        name, sides = look_up(model, "network"), look_up(model, "input")
        if isinstance(name, str) and isinstance(sides, list) and all(type(side) is int for side in sides):
            footprints[name, tuple(sides[1:])] |= {key: finite(value) for key, value in measured.items()}

    for path in sorted(results.rglob("latency.json")):
        record = read_optional(path, read_json, warn)
        add(look_up(record, "model"), latency_ratio=look_up(record, "ratio"))
    for path in sorted(results.rglob("memory.json")):
        models = look_up(read_optional(path, read_json, warn), "models")
        for model in models if isinstance(models, list) else ():
            add(model, memory_mib=look_up(model, "mib"), memory_ratio=look_up(model, "ratio"))
    return footprints


def read_robustness_of_models(results: Path, warn: Warn) -> list[Mapping[str, Any]]:
    """Read every robustness.json of a folder without a run record beside it."""
    paths = (path for path in sorted(results.rglob("robustness.json")) if not path.with_name(RECORD).exists())
    found = (read_optional(path, read_json, warn) for path in paths)
    return [measured for measured in found if measured is not None]
