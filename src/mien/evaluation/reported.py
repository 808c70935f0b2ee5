"""What the five papers report: every figure of their tables, with the place where it is printed."""

from __future__ import annotations

import math
import tomllib
from dataclasses import MISSING, dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any

from mien.core.errors import DataError

PAPERS = {
    "spayolo": "SPAYOLO, Ma et al. 2025",
    "daf_mhsca": "DAF-MHSCA, Shao et al. 2025",
    "sldcnn": "SLDCNN, Li et al. 2025",
    "hfc": "HFC attention, Kim and Jo 2024",
    "despam": "DeSpaM, Lee et al. 2026",
}
# How the papers say that their figures came about; what they leave open, they leave open.
PROTOCOLS = {
    "spayolo": "FER2013: PublicTest and PrivateTest together (7,178 images) both select and are scored. AffectNet: "
    "41,553 images of seven classes, 4,000 of which both select and are scored. The number of runs is not named.",
    "daf_mhsca": "The tables name no split, no selection rule and no number of runs. The network starts from "
    "face-recognition weights (MS-Celeb-1M).",
    "sldcnn": "7:2:1 (section 5.2), ten folds in Table 4; the epoch with the highest accuracy on the test images is "
    "kept (section 4.1). It is not said over what F1 is averaged; ours is the macro average.",
    "hfc": "FER2013 28,707 / 7,180 images, JAFFE 158 / 55, CK+ 735 / 246; the best of 100 epochs by the images that "
    "are scored. What the tables call accuracy is the mean of the class accuracies. The number of runs is not named.",
    "despam": "By the authors' public code: five seeds, each with a random 80/20 split of the whole data set.",
}
DATASETS = {
    "fer2013": "FER2013",
    "ferplus": "FERPlus",
    "rafdb": "RAF-DB",
    "affectnet7": "AffectNet-7",
    "affectnet8": "AffectNet-8",
    "ckplus": "CK+",
    "jaffe": "JAFFE",
    "own": "own pictures",
    "": "",
}


@dataclass(frozen=True)
class ReportedFigure:
    """One figure as a paper prints it.

    Attributes:
        paper: A key of `PAPERS`.
        table: Where it stands, as "Table 2".
        row, column: Their headings in that table.
        dataset: A key of `DATASETS`; "" where the figure belongs to none.
        metric: accuracy, mean_class_accuracy, f1, recall:<label>, parameters, gflops, latency_ms ...
        value: In percent where it is a share (f1: in [0, 1]), else a plain number.
        recipe: The recipe that reruns it; "" for other papers' methods and pictures that were not published.
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
    note: str = ""

    @property
    def is_share(self) -> bool:
        """Whether the value is in percent."""
        kind = self.metric.partition(":")[0]
        return kind in {"accuracy", "mean_class_accuracy", "recall", "probability", "share"}

    @property
    def is_of_a_picture(self) -> bool:
        """Whether it describes what a network made of a printed picture, and not how often it is right."""
        return self.metric.partition(":")[0] in {"probability", "share"}


@cache
def load_reported() -> tuple[ReportedFigure, ...]:
    """Return all reported figures, paper by paper, in the order of their tables.

    Raises:
        DataError: The data file is damaged: no TOML, a key too many or too few, or a value of another kind.
    """
    text = (files("mien") / "evaluation" / "reported.toml").read_text(encoding="utf-8")
    return parse_reported(text)


def parse_reported(text: str) -> tuple[ReportedFigure, ...]:
    """Read figures from TOML text; `DataError` in one line where an entry is wrong."""
    try:
        entries = tomllib.loads(text).get("figure", [])
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"The reported figures are not TOML: {error}.") from None
    if not isinstance(entries, list):
        raise DataError("The reported figures must be [[figure]] entries.")
    return tuple(_parse_entry(entry, number) for number, entry in enumerate(entries, 1))


def _parse_entry(entry: Any, number: int) -> ReportedFigure:
    where = f"Reported figure {number}"
    if not isinstance(entry, dict):
        raise DataError(f"{where} is no table of keys.")
    known = {field.name: field.default is MISSING for field in fields(ReportedFigure)}
    missing = [name for name, is_needed in known.items() if is_needed and name not in entry]
    unknown = sorted(entry.keys() - known.keys())
    if missing or unknown:
        raise DataError(f"{where}: missing {missing or 'nothing'}, unknown {unknown or 'nothing'}.")
    value = entry["value"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DataError(f"{where}: value = {value!r} is no finite number.")
    for name in known.keys() & entry.keys() - {"value"}:
        if not isinstance(entry[name], str):
            raise DataError(f"{where}: {name} = {entry[name]!r} is no text.")
    if entry["paper"] not in PAPERS or entry["dataset"] not in DATASETS:
        raise DataError(f"{where}: paper '{entry['paper']}' or data set '{entry['dataset']}' is unknown.")
    return ReportedFigure(**{**entry, "value": float(value)})
