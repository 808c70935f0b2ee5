"""The images of a folder, or of a text file that lists them: found one by one, always in the same order.

Paths are bytes, as in the file system: a file name may hold any byte except NUL and "/".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from mien.core.errors import ImageError
from mien.core.image import SUFFIXES
from mien.inference.archive.errors import ArchiveError
from mien.inference.sources import EXPECTED

LONGEST_PATH = 65_536


def find_images(source: Path) -> Iterator[bytes]:
    """Yield the path of every image, relative to `root_of(source)`.

    A folder is searched recursively, sorted by name; hidden files and folders, links to folders and names without an
    image suffix are left out. A folder that cannot be opened is yielded itself, so that the list of bad files says why.
    At most one folder's names per level are in memory.

    A list has one path per line (or between NUL bytes, as `find -print0` writes), with any suffix; repeated paths are
    left out.

    Raises:
        ArchiveError: The source is missing, unreadable, or neither a folder nor a list.
    """
    try:
        if source.is_dir():
            yield from _walk(os.fsencode(source))
        else:
            yield from _read_list(source)
    except OSError as error:
        raise ArchiveError(f"{source} cannot be read ({error.strerror or error}).") from None


def root_of(source: Path) -> Path:
    """Return the folder that the paths of a source are relative to: itself, or the list's folder."""
    return source.resolve() if source.is_dir() else source.resolve().parent


def check_source(source: Path) -> None:
    """Raise `ArchiveError` if a source is missing, and `ImageError` if it is a single image."""
    if not source.exists():
        raise ArchiveError(f"{source}: no such folder or list of images.")
    if not source.is_dir() and source.name.lower().endswith(SUFFIXES):
        raise ImageError(f"{source} is a single image; expected a folder or a list of paths. Use `mien recognize`.")


def readable(path: bytes) -> str:
    r"""Return a path as text that any output can hold: bytes that are not UTF-8 become `\xNN`."""
    return path.decode("utf-8", "backslashreplace")


def no_images(source: Path) -> ArchiveError:
    """Return the error of a source without images."""
    if source.is_dir():
        return ArchiveError(f"{source}: no images in this folder; expected files ending in {EXPECTED}.")
    return ArchiveError(f"{source} is empty; expected one path per line.")


def _walk(root: bytes) -> Iterator[bytes]:
    pending: list[tuple[bytes, bool]] = [(b"", True)]
    while pending:
        inside, is_folder = pending.pop()
        if not is_folder:
            yield inside
            continue
        try:
            with os.scandir(os.path.join(root, inside) if inside else root) as entries:  # noqa: PTH118
                found = sorted(
                    ((e.name, e.is_dir(follow_symlinks=False)) for e in entries if not e.name.startswith(b".")),
                    reverse=True,
                )
        except OSError:
            if not inside:
                raise
            yield inside
            continue
        prefix = inside + b"/" if inside else b""
        pending += [
            (prefix + name, is_folder)
            for name, is_folder in found
            if is_folder or os.fsdecode(name).lower().endswith(SUFFIXES)
        ]


def _read_list(source: Path) -> Iterator[bytes]:
    seen: set[bytes] = set()
    with source.open("rb") as file:
        end = b"\0" if b"\0" in file.read(LONGEST_PATH) else b"\n"
        file.seek(0)
        rest = b""
        while block := file.read(LONGEST_PATH):
            *lines, rest = (rest + block).split(end)
            if len(rest) > LONGEST_PATH:
                raise ArchiveError(f"{source} is not a list of images; expected one path per line.")
            yield from _unseen(lines, seen)
    yield from _unseen([rest], seen)


def _unseen(lines: list[bytes], seen: set[bytes]) -> Iterator[bytes]:
    """Leave out empty and repeated lines; `seen` holds digests, which need less memory than a million paths."""
    for line in lines:
        path = line.rstrip(b"\r")
        if not path or b"\0" in path:
            continue
        digest = hashlib.blake2b(path, digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            yield path
