"""The images of a folder, or of a text file that lists them: found one by one, always in the same order.

Bytes of a path that are not UTF-8 are surrogates, as `os.fsdecode` writes them.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mien.core.errors import ArchiveError, ImageError
from mien.inference.sources import EXPECTED, is_image, walk_images

LONGEST_PATH = 65_536


def find_images(source: Path) -> Iterator[str]:
    """Yield the path of every image, relative to `root_of(source)`.

    A folder is searched as by `walk_images`; folders that cannot be opened come last, so that the list of bad files
    says why. At most one folder's names per level are in memory. A list has one path per line (or between NUL bytes, as
    `find -print0` writes), with any suffix; repeated paths are left out.

    Raises:
        ArchiveError: The source is unreadable, or neither a folder nor a list.
    """
    try:
        yield from _walk(root_of(source)) if source.is_dir() else _read_list(source)
    except OSError as error:
        raise ArchiveError(f"{source} cannot be read ({error.strerror or error}).") from None


def root_of(source: Path) -> Path:
    """Return the folder that the paths of a source are relative to: itself, or the list's folder."""
    return source.resolve() if source.is_dir() else source.resolve().parent


def check_source(source: Path) -> None:
    """Raise `ArchiveError` if a source is missing, and `ImageError` if it is a single image."""
    if not source.exists():
        raise ArchiveError(f"{source}: no such folder or list of images.")
    if not source.is_dir() and is_image(source.name):
        raise ImageError(f"{source} is a single image; expected a folder or a list of paths. Use `mien recognize`.")


def readable(path: str) -> str:
    r"""Return a path as text that any output can hold: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def no_images(source: Path) -> ArchiveError:
    """Return the error of a source without images."""
    if source.is_dir():
        return ArchiveError(f"{source}: no images in this folder; expected files ending in {EXPECTED}.")
    return ArchiveError(f"{source} is empty; expected one path per line.")


def _walk(root: Path) -> Iterator[str]:
    inside = len(str(root / "x")) - 1
    closed: list[OSError] = []
    yield from (str(path)[inside:] for path in walk_images(root, closed.append))
    for error in closed:
        if error.filename == str(root):
            raise error
        yield error.filename[inside:]


def _read_list(source: Path) -> Iterator[str]:
    if source.stat().st_size == 0:
        return
    seen: set[bytes] = set()
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        ends = rb"\0" if b"\0" in content[:LONGEST_PATH] else rb"\n\0"
        for match in re.finditer(rb"[^%s]{1,%d}" % (ends, LONGEST_PATH + 1), content):
            path = match[0].rstrip(b"\r")
            if len(path) > LONGEST_PATH:
                raise ArchiveError(f"{source} is not a list of images; expected one path per line.")
            if path and path not in seen:
                seen.add(path)
                yield os.fsdecode(path)
