"""Expand files, folders and globs into lists of image files."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mien.core.decoding import SUFFIXES
from mien.core.errors import ImageError

EXPECTED = ", ".join(SUFFIXES)


def expand_source(source: str) -> list[Path]:
    """Return the image files of a file, folder or glob, sorted by path.

    A file may have any suffix and need not exist. Folders are searched recursively, and globs may use `**`; both give
    only files with an image suffix (.jpg, .png, ...). Hidden files of a folder are left out.

    Raises:
        ImageError: The source is empty, or a folder or glob contains no image.
    """
    if not source:
        raise ImageError("An image source is empty; expected a file, a folder or a pattern.")
    path = Path(source)
    if path.is_dir():
        files = sorted(walk_images(path))
        if not files:
            raise ImageError(f"{source}: no images in this folder; expected files ending in {EXPECTED}.")
        return files
    if glob.has_magic(source) and not os.path.lexists(path):
        matches = [Path(match) for match in glob.iglob(source, recursive=True)]  # noqa: PTH207 (absolute patterns too)
        files = sorted({match for match in matches if match.is_file() and is_image(match.name)})
        if not files:
            raise ImageError(f"{source}: no image file matches; expected names ending in {EXPECTED}.")
        return files
    return [path]


def walk_images(folder: Path, on_error: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    """Yield the image files of a folder and then of its folders, each sorted by name.

    Hidden files and folders and links to folders are left out. `on_error` gets the error, with its `filename`, of a
    folder that cannot be opened.
    """
    for place, folders, names in os.walk(folder, onerror=on_error):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if is_image(name) and not name.startswith("."))


def is_image(name: str) -> bool:
    """Tell whether a file's name ends like an image's."""
    return name.lower().endswith(SUFFIXES)
