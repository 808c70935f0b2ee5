"""What can go wrong with an archive as a whole; a single bad picture is no error but a line of the list."""

from __future__ import annotations

from mien.core.errors import MienError


class ArchiveError(MienError):
    """An archive cannot be annotated: its input, its output or its settings do not fit, or its workers fail."""


class InterruptedArchiveError(ArchiveError):
    """The user stopped the job; what was finished is kept for the next start."""


def explain(error: BaseException) -> str:
    """Say in one line why a job cannot go on."""
    if isinstance(error, OSError):
        reason = f"{error.filename or 'The results'} cannot be written ({error.strerror or error})"
        return f"{reason}; what is finished is kept: the same command continues."
    return (str(error).splitlines() or [type(error).__name__])[0]
