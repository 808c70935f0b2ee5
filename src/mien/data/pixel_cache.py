"""Caches what was parsed from a text file as bytes next to it, so that the next start maps it into memory.

If the cache cannot be written or read, everything works without it.
"""

from __future__ import annotations

import contextlib
import glob
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.core.whole_file import whole_file

FOLDER = ".mien-cache"
# Part of the file name, so that a new layout does not read old files.
LAYOUT = "v1"


def cached_bytes(source: Path, parse: Callable[[Path], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return what `parse` makes of a file, (n,) read-only bytes; memory-mapped if the file was parsed before.

    A file with another size or modification time is parsed again, and replaces its older caches.
    """
    status = source.stat()
    path = source.parent / FOLDER / f"{source.name}-{LAYOUT}-{status.st_size}-{status.st_mtime_ns}.npy"
    with contextlib.suppress(OSError, ValueError, EOFError):
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    content = parse(source)
    content.setflags(write=False)
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        with whole_file(path, is_contested=True) as file:
            np.save(file, content, allow_pickle=False)
        for old in path.parent.glob(f"{glob.escape(source.name)}-v*.npy"):
            if old != path:
                old.unlink(missing_ok=True)
    return content
