"""The list of built-in networks with their sizes, without importing torch.

Counting takes seconds, so `catalogue.json` keeps the counts of each file in `backbones/` and `papers/`. A file that is
not in it is counted on each call, or skipped if torch is not installed. `python -m mien.models.catalogue` rewrites the
JSON; a test checks its numbers.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.models import backbones, papers

if TYPE_CHECKING:
    from mien.models.network import NetworkSpec

PATH = Path(__file__).with_name("catalogue.json")
CLASSES = 7


@dataclass(frozen=True)
class CatalogueEntry:
    """One network with its default options and 7 classes.

    Attributes:
        name: What recipes and the command line call it.
        paper: Authors, year, title.
        summary: One sentence.
        parameters: Parameters in training.
        parameters_deployed: Parameters after folding.
        macs: Multiply-accumulates of one image after folding: convolutions and linear layers.
        input: (channels, height, width) that `parameters` and `macs` hold for.
    """

    name: str
    paper: str
    summary: str
    parameters: int
    parameters_deployed: int
    macs: int
    input: tuple[int, int, int]


def catalogue() -> list[CatalogueEntry]:
    """Return all built-in networks, sorted by name."""
    stored = json.loads(PATH.read_text(encoding="utf-8"))
    entries = []
    for module in module_names():
        if module in stored:
            entries += [CatalogueEntry(**{**row, "input": tuple(row["input"])}) for row in stored[module]]
            continue
        try:
            entries += count_module(module)
        except ModuleNotFoundError as error:
            if error.name != "torch":
                raise
    return sorted(entries, key=lambda entry: entry.name)


def module_names() -> Iterator[str]:
    """Yield the modules that may define networks: "backbones.dense", "backbones.despam" ..."""
    for package in (backbones, papers):
        for info in pkgutil.iter_modules(package.__path__):
            yield f"{package.__name__.rpartition('.')[2]}.{info.name}"


def count_module(name: str) -> list[CatalogueEntry]:
    """Make and count the networks of one module, "papers.despam"; imports torch."""
    module = importlib.import_module(f"mien.models.{name}")
    return [count_network(spec) for spec in getattr(module, "NETWORKS", ()) if not spec.requires]


def count_network(spec: NetworkSpec) -> CatalogueEntry:
    """Make a network and count it; imports torch."""
    import torch

    from mien.models import registry
    from mien.models.complexity import count_macs, count_parameters

    channels, height, width = spec.input
    with torch.device("meta"):  # counting needs shapes only
        network = registry.create(spec.name, num_classes=CLASSES, in_channels=channels)
    deployed = network.folded()
    return CatalogueEntry(
        name=spec.name,
        paper=spec.paper,
        summary=spec.summary,
        parameters=count_parameters(network),
        parameters_deployed=count_parameters(deployed),
        macs=count_macs(deployed, (height, width), channels),
        input=spec.input,
    )


if __name__ == "__main__":
    counted = {name: [asdict(entry) for entry in count_module(name)] for name in module_names()}
    PATH.write_text(json.dumps(counted, indent=1) + "\n", encoding="utf-8")
