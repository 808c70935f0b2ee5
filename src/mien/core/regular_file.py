"""Open files that people name: what is no file, and could block or never end, is refused before it is opened."""

from __future__ import annotations

import errno
import stat
from pathlib import Path
from typing import IO

_OTHERS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def check_file(path: Path) -> None:
    """Raise `OSError`, whose `strerror` says why, unless a path leads to a file and not to a folder or a pipe."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            reason = f"it is a link to {path.readlink()}, which does not exist"
            raise FileNotFoundError(errno.ENOENT, reason, str(path)) from None
        raise
    except ValueError as error:  # a zero byte in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    kind = next((name for is_kind, name in _OTHERS if is_kind(mode)), None)
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading, after `check_file`."""
    check_file(path)
    return path.open("rb")
