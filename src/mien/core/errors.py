"""Errors for users: each is one line that says what was received, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any


class MienError(Exception):
    """Base of every error that mien raises on purpose; its message is one line."""

    def __reduce__(self) -> tuple[Callable[..., MienError], tuple[Any, ...]]:
        # The default calls the class with `args`. Where a subclass takes others, a pool of processes would break.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(kind: type[MienError], args: tuple[Any, ...], state: dict[str, Any]) -> MienError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


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
        super().__init__(f"{what} requires the extra '{extra}': {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that adds an extra to this installation, from the place that it was installed from."""
    import json
    import shlex
    from importlib import metadata

    root = Path(__file__).parents[3]
    if (root / "pyproject.toml").is_file():  # a checkout
        return f"pip install -e {shlex.quote(f'{root}[{extra}]')}"
    try:
        origin = json.loads(metadata.distribution("mien").read_text("direct_url.json") or "{}")  # PEP 610
    except (metadata.PackageNotFoundError, ValueError):
        origin = {}
    address = origin.get("url", "")
    if repository := origin.get("vcs_info"):
        address = f"{repository['vcs']}+{address}@{repository['commit_id']}"
    return f"pip install {shlex.quote(f'mien[{extra}]' + f' @ {address}' * bool(address))}"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` with a leading blank for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f" Did you mean '{near[0]}'?" if near else ""
