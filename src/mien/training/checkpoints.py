"""Checkpoint files: written completely or not at all, and still valid after their run folder was moved."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import ModelCheckpoint

from mien.core.whole_file import whole_file


class WholeFiles(TorchCheckpointIO):
    """Writes a checkpoint next to the previous one, then replaces it.

    Lightning writes into the system's temporary folder and moves the file; from another disk that is a copy, which a
    kill leaves incomplete.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint; if that fails, the old file is intact."""
        content = io.BytesIO()  # torch hides a full disk when it writes into the file itself
        torch.save(checkpoint, content)
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(final) as file:
            file.write(content.getbuffer())


class MovableCheckpoint(ModelCheckpoint):
    """Finds its checkpoints again in a run folder that was moved or copied."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best checkpoint under its present path; Lightning drops it if the folder differs."""
        super().load_state_dict(
            state_dict
            | {
                "dirpath": self.dirpath,
                "best_k_models": {self._here(path): score for path, score in state_dict["best_k_models"].items()},
                "best_model_path": self._here(state_dict["best_model_path"]),
                "kth_best_model_path": self._here(state_dict["kth_best_model_path"]),
            }
        )

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "") / Path(path).name) if path else path
