"""Errors for users: each is one line that says what was received, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MienError(Exception):
    """Base of every error that mien raises on purpose; its message is one line."""


class ImageError(MienError):
    """An image cannot be read: missing, empty, truncated, not an image, or too large."""


class DataError(MienError):
    """A data set does not have the layout or the content that its adapter expects."""


class ModelError(MienError):
    """A model file or network name cannot be used."""


class RecipeError(MienError):
    """A recipe holds an unknown key or a value that does not fit."""


class InterruptedTrainingError(MienError):
    """The user, or a job scheduler, stopped a run; its last checkpoint is kept."""


class ArchiveError(MienError):
    """An archive cannot be annotated: its input, output or settings do not fit, or its workers fail."""


class InterruptedArchiveError(ArchiveError):
    """The user stopped an archive; finished chunks are kept for the next start."""


class MissingExtraError(MienError):
    """An extra is required and not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} requires the extra '{extra}': pip install 'mien[{extra}]'")


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` with a leading blank for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""
