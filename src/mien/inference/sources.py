"""From what stands on the command line to a list of picture files, or of videos."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from mien.core.errors import ImageError
from mien.core.image import SUFFIXES
from mien.inference.video import CAMERA, NETWORK

EXPECTED = ", ".join(SUFFIXES)
VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".wmv", ".flv"),
    *(".3gp", ".ogv", ".mxf", ".mjpeg", ".m4a", ".mp3", ".wav"),  # sound is told apart when it is opened
)


def is_video(source: str) -> bool:
    """Tell whether a source is a camera, an address, or a file or glob that ends like a video's."""
    return source.startswith((CAMERA, *NETWORK)) or source.lower().endswith(VIDEO_SUFFIXES)


def expand_video(source: str) -> list[str]:
    """Return the videos that a source stands for: itself, or the files of a glob, sorted.

    Raises:
        ImageError: A glob matches nothing.
    """
    if source.startswith((CAMERA, *NETWORK)) or not glob.has_magic(source) or os.path.lexists(source):
        return [source]
    files = sorted(match for match in glob.iglob(source, recursive=True) if Path(match).is_file())  # noqa: PTH207
    if not files:
        raise ImageError(f"{source}: no video file matches.")
    return files


def expand_source(source: str) -> list[Path]:
    """Return the picture files that a file, folder or glob stands for, sorted by path.

    A file is taken whatever its name ends in. A folder is searched with all the folders in it, and a glob
    may use `**`; both give only names that end like a picture's (.jpg, .png, ...), and leave out hidden
    files and folders.

    Raises:
        ImageError: A folder or a glob gives no picture. That a file exists is not checked here.
    """
    path = Path(source)
    if path.is_dir():
        files = _in_folder(path)
        if not files:
            raise ImageError(f"{source}: no images in this folder; expected files ending in {EXPECTED}.")
        return files
    if glob.has_magic(source) and not os.path.lexists(path):
        matches = [Path(match) for match in glob.iglob(source, recursive=True)]  # noqa: PTH207 (absolute patterns too)
        files = sorted({match for match in matches if match.is_file() and _is_picture(match.name)})
        if not files:
            raise ImageError(f"{source}: no image file matches; expected names ending in {EXPECTED}.")
        return files
    return [path]


def _in_folder(folder: Path) -> list[Path]:
    files: list[Path] = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(place, name) for name in names if _is_picture(name) and not name.startswith(".")]
    return sorted(files)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)
