"""The list of networks without torch: reads `catalogue.json` beside this file.

The file is written by `python -m mien.models.build_catalogue`, and a test fails when it is stale.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

PATH = Path(__file__).with_name("catalogue.json")


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

    def to_json(self) -> dict[str, object]:
        """Return the entry as it stands in `mien models --json`."""
        return {**asdict(self), "input": list(self.input)}


def catalogue() -> list[CatalogueEntry]:
    """Return all built-in networks, sorted by name."""
    entries = json.loads(PATH.read_text(encoding="utf-8"))
    return [CatalogueEntry(**{**entry, "input": tuple(entry["input"])}) for entry in entries]
