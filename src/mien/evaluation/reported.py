"""The figures that the five papers report, and where each is printed.

`reported.csv` has one line per table cell, as printed: a misprint stays, with a note of what it should be. DeSpaM has
none: its abstract, the only text available, gives no figure.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

PAPERS = {
    "spayolo": "SPAYOLO, Ma et al. 2025",
    "daf_mhsca": "DAF-MHSCA, Shao et al. 2025",
    "sldcnn": "SLDCNN, Li et al. 2025",
    "hfc": "HFC attention, Kim and Jo 2024",
    "despam": "DeSpaM, Lee et al. 2026",
}
DATASETS = {
    "fer2013": "FER2013",
    "ferplus": "FERPlus",
    "rafdb": "RAF-DB",
    "affectnet7": "AffectNet-7",
    "affectnet8": "AffectNet-8",
    "ckplus": "CK+",
    "jaffe": "JAFFE",
    "own": "own images",
    "": "",
}


@dataclass(frozen=True)
class ReportedFigure:
    """One figure as a paper prints it.

    Attributes:
        paper: A key of `PAPERS`.
        table: Where it is printed, as "Table 2".
        row, column: Its headings in that table.
        dataset: A key of `DATASETS`; "" if the figure belongs to no data set.
        metric: accuracy, mean_class_accuracy, f1, recall:<label>, parameters, gflops, latency_ms ...
        value: Percent for shares (see `is_share`), [0, 1] for f1, else a plain number.
        recipe: The recipe that reruns it; "" for other papers' methods and for unpublished images.
        ablation: The recipe's `[ablation.<name>]` table; "" for the recipe itself.
        note: What is wrong or odd about the printed figure, or how it was counted.
    """

    paper: str
    table: str
    row: str
    column: str
    dataset: str
    metric: str
    value: float
    recipe: str
    ablation: str
    note: str

    @property
    def is_share(self) -> bool:
        """Whether the value is in percent."""
        return self.is_of_one_image or self.metric.partition(":")[0] in {"accuracy", "mean_class_accuracy", "recall"}

    @property
    def is_of_one_image(self) -> bool:
        """Whether it is a network's output for one printed image rather than a score over a data set."""
        return self.metric.partition(":")[0] in {"probability", "share"}


@cache
def load_reported() -> tuple[ReportedFigure, ...]:
    """Return all reported figures, paper by paper, in the order of their tables."""
    text = (files("mien") / "evaluation" / "reported.csv").read_text(encoding="utf-8")
    rows: Iterable[dict[str, Any]] = csv.DictReader(text.splitlines())
    return tuple(ReportedFigure(**{**row, "value": float(row["value"])}) for row in rows)
