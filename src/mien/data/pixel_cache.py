"""Caches a parsed text file as bytes next to it, so that the next start maps it into memory instead of parsing.

If the cache cannot be written or read, everything works without it.
"""

from __future__ import annotations

import contextlib
import glob
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.whole_file import whole_file

FOLDER = ".mien-cache"
# Part of the file name, so that a new layout does not read old files.
LAYOUT = "v1"


def cache_path(source: Path) -> Path:
    """Return the path of a file's cache; it changes when the file's size or modification time does."""
    status = source.stat()
    return source.parent / FOLDER / f"{source.name}-{LAYOUT}-{status.st_size}-{status.st_mtime_ns}.npy"


def read_cache(path: Path) -> NDArray[np.uint8] | None:
    """Return the cached bytes (n,), memory-mapped and read-only; None if there is no usable cache."""
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(stored, np.memmap) or stored.dtype != np.uint8 or stored.ndim != 1:
        return None
    return np.asarray(stored)


def write_cache(path: Path, content: NDArray[np.uint8], source_name: str) -> None:
    """Write bytes (n,), whole or not at all, then remove older caches of the same file; never fails."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with whole_file(path, is_contested=True) as file:
            np.save(file, content, allow_pickle=False)
        for old in path.parent.glob(f"{glob.escape(source_name)}-v*.npy"):
            if old != path:
                old.unlink(missing_ok=True)
