"""Expand files, folders and globs into lists of image files, and remember what was passed over."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mien.core.decoding import HEIC_SUFFIXES, SUFFIXES
from mien.core.errors import ImageError
from mien.core.regular_file import ADDRESS, is_address
from mien.core.text import count

EXPECTED = "names that end in .jpg, .png or another suffix of an image"
NO_SUFFIX, FOLDER, LINK = "without a suffix", "folder", "link to a folder"
PLURALS = {NO_SUFFIX: NO_SUFFIX, LINK: "links to folders"}
MOST_KINDS = 8


class Skipped:
    """What a search for images passed over: files of other kinds, by suffix, and folders that cannot be opened."""

    def __init__(self, kinds: Counter[str] | None = None) -> None:
        """Start with nothing, or with the numbers of an earlier search."""
        self.kinds = Counter[str]() if kinds is None else kinds
        self.closed: list[OSError] = []

    def add(self, name: str) -> None:
        """Count a file that has no image's suffix."""
        self.kinds[Path(name).suffix.lower() or NO_SUFFIX] += 1

    def describe(self) -> str:
        """Return one line, such as "3 files skipped: 1 .heic, 1 .txt, 1 unreadable folder"; "" if there is nothing."""
        kinds = self.kinds + Counter({"unreadable folder": len(self.closed)})
        if not kinds:
            return ""
        shown = sorted(kinds.items(), key=lambda item: (not item[0].startswith("."), -item[1], item[0]))
        parts = [f"{n} {k}" if k.startswith(".") else count(n, k, PLURALS.get(k, "")) for k, n in shown[:MOST_KINDS]]
        if rest := sum(n for _, n in shown[MOST_KINDS:]):
            parts.append(f"{rest} others")
        hint = "; reading HEIC requires the extra 'heic'" if set(kinds) & set(HEIC_SUFFIXES) else ""
        return f"{count(kinds.total(), 'file')} skipped: {', '.join(parts)}{hint}"


def expand_source(source: str, skipped: Skipped | None = None) -> list[Path]:
    """Return the image files of a file, folder or glob, sorted by path.

    A file may have any suffix and need not exist. Folders are searched recursively, and globs may use `**`; both give
    only what has an image's suffix (.jpg, .png, ...), also pipes and broken links, which cannot be read later. Hidden
    files of a folder are left out.

    Args:
        source: The file, folder or glob.
        skipped: Takes what is passed over.

    Raises:
        ImageError: The source is empty or an address, a folder cannot be opened, or there is no image.
    """
    skipped = Skipped() if skipped is None else skipped
    if not source:
        raise ImageError("An image source is empty; expected a file, a folder or a pattern.")
    if os.path.isdir(source):  # noqa: PTH112 - unlike `Path.is_dir`, it never raises
        return _search(source, skipped)
    if is_address(source):
        raise ImageError(f"{source} cannot be read ({ADDRESS}).")
    if glob.has_magic(source) and not os.path.lexists(source):
        return _match(source, skipped)
    return [Path(source)]


def walk_images(folder: Path, skipped: Skipped) -> Iterator[Path]:
    """Yield the image files of a folder and then of its folders, each sorted by name.

    Hidden files and folders and links to folders are left out. Names that are no images', links to folders, and the
    errors of folders that cannot be opened go to `skipped`.
    """
    for place, folders, names in os.walk(folder, onerror=skipped.closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        skipped.kinds[LINK] += sum(Path(place, name).is_symlink() for name in folders)
        for name in sorted(name for name in names if not name.startswith(".")):
            if is_image(name):
                yield Path(place, name)
            else:
                skipped.add(name)


def is_image(name: str) -> bool:
    """Tell whether a file's name ends like an image's."""
    return name.lower().endswith(SUFFIXES)


def _search(folder: str, skipped: Skipped) -> list[Path]:
    files = sorted(walk_images(Path(folder), skipped))
    for error in skipped.closed:
        if error.filename == folder:
            skipped.closed.remove(error)
            raise ImageError(f"{folder} cannot be searched ({error.strerror}).")
    if not files:
        raise ImageError(f"{folder}: no images in this folder; expected {EXPECTED}.")
    return files


def _match(pattern: str, skipped: Skipped) -> list[Path]:
    files = []
    for match in sorted(set(glob.iglob(pattern, recursive=True))):  # noqa: PTH207 (absolute patterns too)
        if os.path.isdir(match):  # noqa: PTH112
            skipped.kinds[FOLDER] += "**" not in pattern  # that one looks into folders
        elif is_image(match):
            files.append(Path(match))
        else:
            skipped.add(match)
    for place in glob.iglob(os.path.dirname(pattern) or ".", recursive=True):  # noqa: PTH120, PTH207
        try:
            if os.path.isdir(place):  # noqa: PTH112
                os.scandir(place).close()
        except OSError as error:
            skipped.closed.append(error)
    if not files and not skipped.closed:
        raise ImageError(f"{pattern}: no image file matches; expected {EXPECTED}.")
    return files
