"""Where fetched files lie, and how YuNet's is found. Nothing here writes: only `mien fetch` does."""

from __future__ import annotations

import os
from pathlib import Path

from mien.core.errors import ModelError

YUNET_NAME = "face_detection_yunet_2026may.onnx"


def cache_dir() -> Path:
    """Return $MIEN_CACHE, else $XDG_CACHE_HOME/mien, else ~/.cache/mien; it need not exist."""
    if own := os.environ.get("MIEN_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "mien"
    return Path("~/.cache/mien").expanduser()


def find_yunet(given: Path | None = None) -> Path | None:
    """Return YuNet's model file: the one given, else $MIEN_YUNET, else the fetched one, else None.

    Raises:
        ModelError: A file was named, and it is not there.
    """
    named = given or (Path(os.environ["MIEN_YUNET"]) if os.environ.get("MIEN_YUNET") else None)
    if named is not None:
        if not named.is_file():
            raise ModelError(f"{named}: no such YuNet model file; `mien fetch yunet` downloads one.")
        return named
    fetched = cache_dir() / YUNET_NAME
    return fetched if fetched.is_file() else None
