"""The ledger of a queue: one JSON file with one row per run, rewritten after each of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Literal

from mien.core.errors import MienError
from mien.core.upgrade import upgrade
from mien.core.whole_file import write_json
from mien.recipes.queue import Job
from mien.recipes.record import RECORD, RunRecord, name_hardware

LEDGER = "ledger.json"
State = Literal["finished", "unfinished", "failed"]


@dataclass
class LedgerRow:
    """The state of one run.

    `minutes` is the time in its epochs; `overhead_minutes` the time for preparing and publishing, 0 until it is
    published. `record` is relative to the ledger's folder. `message` says why a run failed. `scores` is empty until
    the run is published.
    """

    name: str
    recipe: str
    ablation: str | None
    overrides: list[str]
    seed: int
    commit: str = ""
    hardware: str = ""
    state: State = "unfinished"
    epochs_done: int = 0
    epochs_planned: int = 0
    minutes: float = 0.0
    overhead_minutes: float = 0.0
    scores: dict[str, Any] = field(default_factory=dict)
    record: str = ""
    message: str = ""

    @classmethod
    def of(cls, job: Job) -> LedgerRow:
        """Return the row of a run that has not started."""
        entry = job.entry
        record = f"{job.folder}/{RECORD}"
        return cls(entry.name, entry.recipe, entry.ablation, job.overrides(), job.seed, record=record)

    @property
    def minutes_per_epoch(self) -> float | None:
        """Mean minutes of an epoch; None before the first."""
        return self.minutes / self.epochs_done if self.epochs_done else None

    def read_record(self, folder: Path) -> bool:
        """Update the row from the run's own record: a run that was killed could not write its row.

        Returns:
            Whether all its epochs are done.
        """
        path = folder / self.record
        if not path.is_file():
            return False
        record = RunRecord.load(path)
        self.commit, self.hardware = record.commit, name_hardware(record.hardware)
        self.epochs_done, self.minutes = len(record.curves), record.minutes
        return record.finished


class Ledger:
    """All rows of a folder, by (name, seed), in the order in which the runs were started.

    Args:
        folder: Where `ledger.json` lies, or will.

    Raises:
        MienError: The file exists and is not a ledger.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[tuple[str, int], LedgerRow] = {}
        path = folder / LEDGER
        if not path.exists():
            return
        try:
            rows = [LedgerRow(**row) for row in upgrade(json.loads(path.read_text(encoding="utf-8")))]
        except (ValueError, TypeError) as error:
            raise MienError(f"{path} is not a ledger of runs ({error}).") from None
        self.rows = {(row.name, row.seed): row for row in rows}

    def add(self, row: LedgerRow) -> None:
        """Add a row, or replace the one of the same name and seed, and write the file in one step."""
        self.rows[row.name, row.seed] = row
        self.folder.mkdir(parents=True, exist_ok=True)
        rows = [asdict(row) for row in self.rows.values()]
        write_json(self.folder / LEDGER, rows)

    def estimate(
        self, row: LedgerRow, hardware: str, measure: Literal["minutes_per_epoch", "overhead_minutes"]
    ) -> float | None:
        """Estimate a time of a run from the most similar runs that have it: itself, its other seeds, its recipe.

        Only runs on the same hardware count. None: unknown.
        """
        here = [other for other in self.rows.values() if other.hardware == hardware]
        for similar in (
            [other for other in here if (other.name, other.seed) == (row.name, row.seed)],
            [other for other in here if other.name == row.name],
            [other for other in here if other.recipe == row.recipe],
        ):
            known = [value for other in similar if (value := getattr(other, measure))]
            if known:
                return float(median(known))
        return None
