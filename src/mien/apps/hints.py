"""Hints for words on the command line that mien does not know: commands, options and folders."""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

DEVICE_OPTIONS = ("--gpu", "--cuda", "--device", "--devices", "--accelerator", "--gpus")
SIMILAR = 0.6
TABLES = (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".parquet")


class HintedGroup(TyperGroup):
    """The group of all commands; its usage errors say what was probably meant."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a usage error gets a hint."""
        try:
            return super().invoke(ctx)
        # typer's usage errors are click's or its own copies of them, depending on its version
        except Exception as error:
            if hasattr(error, "format_message") and hasattr(error, "message"):
                _explain(error)
            raise


def _explain(error: Any) -> None:
    """Add a hint to a usage error, and take misleading parts away."""
    error.message = error.message.replace("Value error, ", "")  # pydantic's, in front of typer's own message
    if hasattr(error, "possibilities"):
        name = error.option_name
        hint = _device_hint(error.ctx) if name in DEVICE_OPTIONS else ""
        error.possibilities = [] if hint else [known for known in error.possibilities or () if _is_near(name, known)]
        error.message += hint
    elif unknown := re.match(r"""No such command (['"])(.*?)\1\.""", error.message):
        error.message += _command_hint(unknown[2])


def _is_near(given: str, known: str) -> bool:
    return difflib.SequenceMatcher(None, given.strip("-"), known.strip("-")).ratio() >= SIMILAR


def _device_hint(context: Any) -> str:
    """Say how the command of a context chooses its device."""
    command = getattr(context, "command", None)
    if any("--provider" in option.opts for option in getattr(command, "params", ())):
        return ". Use --provider cuda to run the network on a GPU."
    if getattr(command, "name", "") in ("train", "train-all", "experiment"):
        return ". Training uses a CUDA GPU if torch finds one; CUDA_VISIBLE_DEVICES selects it."
    return ". This command has no option for the device."


def _command_hint(word: str) -> str:
    from mien.core.regular_file import is_address

    if word.startswith("camera:") or is_address(word) or os.path.lexists(word):
        return f" Use `mien recognize {word}`."
    from mien import recipes

    if any(word in (name, name.split("/")[0]) for name in (*recipes.names(), *recipes.detector_names())):
        return f" Use `mien train {word}`."
    return ""


def check_save_folder(folder: Path | None, formats: str = "") -> None:
    """Raise `ImageError` if a folder to save in does not exist and is named like an image, a table or a video.

    Args:
        folder: What `--save` names.
        formats: What else to do for a table, if the command prints tables.
    """
    from mien.core.errors import ImageError
    from mien.inference.sources import is_image
    from mien.inference.video.sources import is_video

    if folder is None or folder.is_dir():
        return
    if not (folder.suffix.lower() in TABLES or is_image(folder.name) or is_video(folder.name)):
        return
    kind = folder.suffix.lower().removeprefix(".")
    other = f"; for a table, use --format {kind} > {folder.name}" if kind in formats.split() else ""
    raise ImageError(f"--save {folder} ends like a file; expected a folder, such as --save {folder.stem}{other}.")
