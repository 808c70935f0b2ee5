"""The ledger of a queue: one JSON file with one row per run, rewritten before and after each of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from mien.core.errors import MienError
from mien.core.upgrade import upgrade
from mien.core.whole_file import write_json
from mien.recipes.queue import Job
from mien.recipes.record import RECORD, RunRecord

LEDGER = "ledger.json"


@dataclass
class LedgerRow:
    """The state of one run.

    `minutes` is the time in its epochs. `record` is relative to the ledger's folder. `message` says why a run failed.
    `scores` is empty until the run is published. "waiting" is a run that has not started; it is in no ledger.
    """

    name: str
    recipe: str
    ablation: str | None
    overrides: list[str]
    seed: int
    commit: str = ""
    state: Literal["waiting", "finished", "unfinished", "failed"] = "waiting"
    epochs_done: int = 0
    epochs_planned: int = 0
    minutes: float = 0.0
    scores: dict[str, Any] = field(default_factory=dict)
    record: str = ""
    message: str = ""

    @classmethod
    def of(cls, job: Job) -> LedgerRow:
        """Return the row of a run that has not started."""
        entry = job.entry
        record = f"{job.folder}/{RECORD}"
        return cls(entry.name, entry.recipe, entry.ablation, job.overrides(), job.seed, record=record)

    def read_record(self, folder: Path) -> None:
        """Update the row from the run's own record: a run that was killed could not write its row."""
        path = folder / self.record
        if path.is_file():
            record = RunRecord.load(path)
            self.commit, self.epochs_done, self.minutes = record.commit, len(record.curves), record.minutes


class Ledger:
    """All rows of a folder, by (name, seed), in the order in which the runs were started.

    Args:
        folder: The folder of `ledger.json`, which need not exist yet.

    Raises:
        MienError: The file exists and is not a ledger.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[tuple[str, int], LedgerRow] = {}
        path = folder / LEDGER
        if not path.exists():
            return
        names = {each.name for each in fields(LedgerRow)}
        try:
            content = upgrade(json.loads(path.read_text(encoding="utf-8")))
            rows = [LedgerRow(**{key: value for key, value in row.items() if key in names}) for row in content]
        except (ValueError, TypeError, AttributeError) as error:
            raise MienError(f"{path} is not a ledger of runs ({error}).") from None
        self.rows = {(row.name, row.seed): row for row in rows}

    def is_finished(self, job: Job) -> bool:
        """Return whether a run is trained and published."""
        row = self.rows.get(job.key)
        return row is not None and row.state == "finished"

    def add(self, row: LedgerRow) -> None:
        """Add a row, or replace the one of the same name and seed, and write the file in one step."""
        self.rows[row.name, row.seed] = row
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / LEDGER, [asdict(row) for row in self.rows.values()])
