"""The images of a folder, or of a text file that lists them: found one by one, always in the same order.

Bytes of a path that are not UTF-8 are surrogates, as `os.fsdecode` writes them.
"""

from __future__ import annotations

import codecs
import mmap
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mien.core.errors import ArchiveError, ImageError
from mien.core.regular_file import check_file
from mien.inference.sources import EXPECTED, Skipped, is_image, walk_images

LONGEST_PATH = 65_536
SAMPLE = 1024


def find_images(source: Path, skipped: Skipped | None = None) -> Iterator[str]:
    """Yield the path of every image, relative to `root_of(source)`.

    A folder is searched as by `walk_images`; folders that cannot be opened come last, so that the list of bad files
    says why. At most one folder's names per level are in memory. A list has one path per line (or between NUL bytes, as
    `find -print0` writes), with any suffix; repeated paths are left out. Lists that Windows writes may have byte order
    marks, UTF-16, quotes and backslashes. `skipped` takes what is passed over in folders.

    Raises:
        ArchiveError: The source is unreadable, or neither a folder nor a list.
    """
    skipped = skipped or Skipped()
    try:
        yield from _walk(root_of(source), skipped) if source.is_dir() else _read_list(source)
    except OSError as error:
        raise ArchiveError(f"{source} cannot be read ({error.strerror or error}).") from None


def root_of(source: Path) -> Path:
    """Return the folder that the paths of a source are relative to: itself, or the list's folder."""
    return source.resolve() if source.is_dir() else source.resolve().parent


def check_source(source: Path) -> None:
    """Raise `ArchiveError` if a source is neither a folder nor a file, and `ImageError` if it is a single image."""
    if os.path.isdir(source):  # noqa: PTH112 - unlike `Path.is_dir`, it never raises
        return
    try:
        check_file(source)
    except OSError as error:
        raise ArchiveError(f"{source}: no such folder or list of images ({error.strerror}).") from None
    if is_image(source.name):
        raise ImageError(f"{source} is a single image; expected a folder or a list of paths. Use `mien recognize`.")


def readable(path: str) -> str:
    r"""Return a path as text that any output can hold: bytes that are not UTF-8 become `\xNN`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def no_images(source: Path) -> ArchiveError:
    """Return the error of a source without images."""
    if source.is_dir():
        return ArchiveError(f"{source}: no images in this folder; expected {EXPECTED}.")
    return ArchiveError(f"{source} is empty; expected one path per line.")


def _walk(root: Path, skipped: Skipped) -> Iterator[str]:
    inside = len(str(root / "x")) - 1
    yield from (str(path)[inside:] for path in walk_images(root, skipped))
    for error in skipped.closed:
        if error.filename == str(root):
            raise error
        yield error.filename[inside:]


def _read_list(source: Path) -> Iterator[str]:
    if source.stat().st_size == 0:
        return
    seen: set[bytes] = set()
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stored:
        content = _as_utf8(stored)
        ends = rb"\0" if b"\0" in content[:LONGEST_PATH] else rb"\n\0"
        for match in re.finditer(rb"[^%s]{1,%d}" % (ends, LONGEST_PATH + 1), content):
            if len(match[0]) > LONGEST_PATH:
                raise ArchiveError(f"{source} is not a list of images; expected one path per line.")
            path = _unquoted(match[0].rstrip(b"\r"))
            if path and path not in seen:
                seen.add(path)
                yield _existing(root_of(source), os.fsdecode(path))


def _as_utf8(content: mmap.mmap) -> mmap.mmap | bytes:
    """Return a list's bytes, or those of its text in UTF-8 if it is in UTF-16 or has a byte order mark."""
    start = content[:SAMPLE]
    if start.startswith(codecs.BOM_UTF8):
        return content[len(codecs.BOM_UTF8) :]
    marked = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    unmarked = len(start) > 2 and len(start) % 2 == 0 and not any(start[1::2]) and all(start[::2])
    if not (marked or unmarked):
        return content
    return content[:].decode("utf-16" if marked else "utf-16-le", "replace").encode("utf-8", "replace")


def _unquoted(path: bytes) -> bytes:
    return path[1:-1] if len(path) > 2 and path[:1] == path[-1:] == b'"' else path


def _existing(root: Path, path: str) -> str:
    """Return a path as it is, or with slashes for backslashes or in Windows' old encoding if only that exists."""
    if path.isprintable() and "\\" not in path:  # bytes that are not UTF-8 are not printable
        return path
    ansi = os.fsencode(path).decode("cp1252", "replace")
    names = (path, path.replace("\\", "/"), ansi, ansi.replace("\\", "/"))
    return next((name for name in names if os.path.lexists(root / name)), path)
