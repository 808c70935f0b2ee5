"""Expand files, folders and globs into lists of image files."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from mien.core.errors import ImageError
from mien.core.image import SUFFIXES

EXPECTED = ", ".join(SUFFIXES)


def expand_source(source: str) -> list[Path]:
    """Return the image files of a file, folder or glob, sorted by path.

    A file may have any suffix and need not exist. Folders are searched recursively, and globs may use `**`; both give
    only files with an image suffix (.jpg, .png, ...). Hidden files of a folder are left out.

    Raises:
        ImageError: A folder or glob contains no image.
    """
    path = Path(source)
    if path.is_dir():
        files = _in_folder(path)
        if not files:
            raise ImageError(f"{source}: no images in this folder; expected files ending in {EXPECTED}.")
        return files
    if glob.has_magic(source) and not os.path.lexists(path):
        matches = [Path(match) for match in glob.iglob(source, recursive=True)]  # noqa: PTH207 (absolute patterns too)
        files = sorted({match for match in matches if match.is_file() and _is_image(match.name)})
        if not files:
            raise ImageError(f"{source}: no image file matches; expected names ending in {EXPECTED}.")
        return files
    return [path]


def _in_folder(folder: Path) -> list[Path]:
    files: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(place, name) for name in names if _is_image(name) and not name.startswith(".")]
    return sorted(files)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)
