"""The processes of one run: how many there are, and which one writes files and prints."""

from __future__ import annotations

import os
import sys

from lightning.pytorch.utilities import rank_zero_only

from mien.core.errors import MienError
from mien.recipes.schema import TrainingSettings


def is_first_process() -> bool:
    """Return whether this process writes files and prints; of several processes, one does."""
    rank: int = rank_zero_only.rank  # type: ignore[attr-defined]
    return rank == 0


@rank_zero_only
def note(text: str) -> None:
    """Print a note on stderr, once for all processes of a run."""
    print(f"note: {text}.", file=sys.stderr)


def check_processes(settings: TrainingSettings) -> None:
    """Raise MienError if torchrun has started more or fewer processes than the recipe names."""
    started = os.environ["WORLD_SIZE"] if "TORCHELASTIC_RUN_ID" in os.environ else str(settings.processes)
    if started != str(settings.processes):
        raise MienError(
            f"torchrun started {started} processes, but training.devices x training.nodes is {settings.devices} x "
            f"{settings.nodes}; set them to what it starts."
        )
