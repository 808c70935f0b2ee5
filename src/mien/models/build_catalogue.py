"""Write `catalogue.json`: `python -m mien.models.build_catalogue`."""

from __future__ import annotations

import json

import torch

from mien.models import registry
from mien.models.catalogue import PATH, CatalogueEntry
from mien.models.complexity import count_macs, count_parameters
from mien.models.specification import NetworkSpec

CLASSES = 7


def build_catalogue() -> str:
    """Return the text of `catalogue.json`: every built-in network, sorted by name."""
    entries = [catalogue_entry(spec).to_json() for spec in registry.built_in()]
    return json.dumps(entries, indent=2) + "\n"


def catalogue_entry(spec: NetworkSpec) -> CatalogueEntry:
    """Make a network and count it."""
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
    PATH.write_text(build_catalogue(), encoding="utf-8")
