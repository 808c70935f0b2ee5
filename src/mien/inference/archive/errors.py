"""Errors of an archive as a whole; a bad image is not an error, but a line in the list of bad files."""

from __future__ import annotations

from mien.core.errors import MienError
from mien.core.text import first_line


class ArchiveError(MienError):
    """An archive cannot be annotated: its input, output or settings do not fit, or its workers fail."""


class InterruptedArchiveError(ArchiveError):
    """The user stopped the job; finished chunks are kept for the next start."""


def explain(error: BaseException) -> str:
    """Say in one line why a job cannot continue."""
    if isinstance(error, OSError):
        reason = f"{error.filename or 'The results'} cannot be written ({error.strerror or error})"
        return f"{reason}; finished chunks are kept: rerun to continue."
    return first_line(error)
