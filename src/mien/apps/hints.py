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


class HintedGroup(TyperGroup):
    """The group of all commands; its usage errors say what was probably meant."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a usage error gets a hint."""
        try:
            return super().invoke(ctx)
        # typer's usage errors are click's or its own copies of them, depending on its version
        except Exception as error:
            if hasattr(error, "format_message") and hasattr(error, "message"):
                _explain(error, ctx.args)
            raise


def _explain(error: Any, words: list[str]) -> None:
    """Add a hint to a usage error, and take misleading parts away."""
    error.message = error.message.replace("Value error, ", "")  # pydantic's, in front of typer's own message
    if hasattr(error, "possibilities"):
        name = error.option_name
        hint = _device_hint(error.ctx) if name in DEVICE_OPTIONS else ""
        error.possibilities = [] if hint else [known for known in error.possibilities or () if _is_near(name, known)]
        error.message += hint
    elif unknown := re.match(r"No such command '(.*)'", error.message):
        error.message += _command_hint(unknown[1])


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
    folder = Path(__file__).parents[1] / "recipes"  # reading the recipes would import pydantic
    names = {f"{file.parent.name}/{file.stem}" for file in folder.glob("*/*.toml")}
    if word in names or word in {name.split("/")[0] for name in names}:
        return f" Use `mien train {word}`."
    return ""


def check_save_folder(folder: Path | None, formats: str = "") -> None:
    """Raise `ImageError` if a folder to save in does not exist and is named like an image, a table or a video.

    Args:
        folder: What `--save` names.
        formats: What else to do for a table, if the command prints tables.
    """
    from mien.core.decoding import SUFFIXES as IMAGES
    from mien.core.errors import ImageError
    from mien.inference.video.sources import SUFFIXES as VIDEOS

    tables = (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".parquet")
    if folder is None or folder.is_dir() or not folder.name.lower().endswith((*IMAGES, *VIDEOS, *tables)):
        return
    kind = folder.suffix.lower().removeprefix(".")
    other = f"; for a table, use --format {kind} > {folder.name}" if kind in formats.split() else ""
    raise ImageError(f"--save {folder} ends like a file; expected a folder, such as --save {folder.stem}{other}.")
