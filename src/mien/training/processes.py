"""The processes of one run: how many there are, and which one writes files and prints. Does not import torch."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mien.core.errors import MienError
from mien.recipes.record import RECORD
from mien.recipes.schema import TrainingSettings

# The variables in which torchrun, Lightning, SLURM and LSF number the processes, in Lightning's order.
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")


def is_first_process() -> bool:
    """Return whether this process writes files and prints; of several processes, one does."""
    return int(next((os.environ[name] for name in RANKS if name in os.environ), "0")) == 0


def note(text: str) -> None:
    """Print a note on stderr, once for all processes of a run."""
    if is_first_process():
        print(f"note: {text}.", file=sys.stderr)


def check_folder(folder: Path, *, resume: bool) -> None:
    """Raise `MienError` if a training would overwrite a run or cannot write; called before data are read."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not nearest.is_dir():
        raise MienError(f"{nearest} is a file; name a folder with --out.")
    if (folder / RECORD).exists() and not resume and is_first_process():
        raise MienError(f"{folder} already holds a run; add --resume to continue it or name another --out.")


def check_processes(settings: TrainingSettings) -> None:
    """Raise MienError if torchrun has started more or fewer processes than the recipe names."""
    started = os.environ["WORLD_SIZE"] if "TORCHELASTIC_RUN_ID" in os.environ else str(settings.processes)
    if started != str(settings.processes):
        raise MienError(
            f"torchrun started {started} processes, but training.devices x training.nodes is {settings.devices} x "
            f"{settings.nodes}; set them to what it starts."
        )
