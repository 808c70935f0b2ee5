"""The pictures of a folder, or of a text file that lists them: found one by one, in an order that never changes.

Paths are bytes, as the system has them, because a file name may hold any byte but NUL and "/".
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


def find_pictures(source: Path) -> Iterator[bytes]:
    """Yield the path of every picture, relative to `root_of(source)`.

    A folder is searched with the folders in it, in the order of its sorted names; hidden files and folders and links
    to folders are left out, and names that do not end like a picture's. A folder that cannot be opened is yielded
    itself, so that its reason reaches the list of bad files. At most one folder's names are in memory per level.

    A list has a path a line (or between NUL bytes, as `find -print0` writes), taken as it stands whatever its
    ending; of equal paths the first counts.

    Raises:
        ArchiveError: The source is absent, unreadable, or neither a folder nor a list.
    """
    try:
        if source.is_dir():
            yield from _walk(os.fsencode(source))
        else:
            yield from _read_list(source)
    except OSError as error:
        raise ArchiveError(f"{source} cannot be read ({error.strerror or error}).") from None


def root_of(source: Path) -> Path:
    """Return what the paths of a source are relative to: the folder, or the folder in which the list lies."""
    return source.resolve() if source.is_dir() else source.resolve().parent


def check_source(source: Path) -> None:
    """Refuse what can be told before anything is searched.

    Raises:
        ArchiveError: There is no such folder or list.
        ImageError: The source is a single picture.
    """
    if not source.exists():
        raise ArchiveError(f"{source}: no such folder or list of pictures.")
    if not source.is_dir() and source.name.lower().endswith(SUFFIXES):
        raise ImageError(f"{source} is one picture; expected a folder or a list of paths. `mien recognize` takes it.")


def readable(path: bytes) -> str:
    r"""Return a path as text that any output can hold: bytes that are not UTF-8 become `\xNN`."""
    return path.decode("utf-8", "backslashreplace")


def no_pictures(source: Path) -> ArchiveError:
    """Say that there is nothing to do."""
    if source.is_dir():
        return ArchiveError(f"{source}: no images in this folder; expected files ending in {EXPECTED}.")
    return ArchiveError(f"{source} is empty; expected a path a line.")


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
                raise ArchiveError(f"{source} is no list of pictures; expected a path a line.")
            yield from _unseen(lines, seen)
    yield from _unseen([rest], seen)


def _unseen(lines: list[bytes], seen: set[bytes]) -> Iterator[bytes]:
    """Leave out empty lines and repetitions; digests, because a million of them take less memory than the paths."""
    for line in lines:
        path = line.rstrip(b"\r")
        if not path or b"\0" in path:
            continue
        digest = hashlib.blake2b(path, digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            yield path
