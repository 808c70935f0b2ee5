"""Checkpoints that last: written whole or not at all, and at home wherever their run folder is."""

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
    """Writes a checkpoint beside the one before it, on the disk, and then puts it in its place.

    Lightning's own is written among the system's temporary files and moved; from another disk that is a copy, which a
    kill leaves half done.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        """Write a checkpoint.

        Raises:
            OSError: The disk is full, or the folder cannot be written; the file is as before.
        """
        content = io.BytesIO()  # writing into the file itself, torch would not say that the disk is full
        torch.save(checkpoint, content)
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(final) as file:
            file.write(content.getbuffer())


class MovableCheckpoint(ModelCheckpoint):
    """Knows its checkpoints again in a run folder that was moved or copied."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was the best before, under its present path; Lightning forgets it where the folder differs."""
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
