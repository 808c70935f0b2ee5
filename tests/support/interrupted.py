"""Training that breaks off at a known step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mien.core.errors import MienError
from mien.data.dataset import FaceDataset
from mien.recipes import Recipe
from mien.training.fit import fit
from mien.training.task import Task


def break_off(recipe: Recipe, faces: FaceDataset, folder: Path, *, epoch: int, batch: int = 0) -> None:
    """Train until a batch of an epoch, both counted from 0, and stop as if killed before it."""
    step = Task.training_step

    def step_or_stop(task: Task, given: Any, batch_idx: int) -> Any:
        if (task.current_epoch, batch_idx) == (epoch, batch):
            raise MienError("killed")
        return step(task, given, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Task, "training_step", step_or_stop)
        with pytest.raises(MienError, match="killed"):
            fit(recipe, faces, folder, quiet=True)
