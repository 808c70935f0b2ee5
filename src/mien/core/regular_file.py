"""Open files that people name; what is not a regular file, and could block or never end, is refused first."""

from __future__ import annotations

import errno
import re
import stat
from pathlib import Path
from typing import IO

ADDRESS = "it is an address, not a file; download it and name the file"
CAMERA_HINT = "there is no such file; a camera is named camera:0"
_OTHERS = (
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a named pipe, not a file"),
    (stat.S_ISSOCK, "a socket, not a file"),
    (stat.S_ISCHR, "a device, not a file; cameras are named camera:0"),
    (stat.S_ISBLK, "a device, not a file"),
)


def is_address(name: str) -> bool:
    """Tell whether a name is an address, such as https://example.org/a.jpg; a drive, such as C:, is none."""
    return re.match(r"[a-z][a-z0-9+.-]+:/|data:", name, re.IGNORECASE) is not None


def check_file(path: Path) -> None:
    """Raise `OSError`, whose `strerror` says why, unless a path leads to a file and not to a folder or a pipe."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            reason = f"it is a link to {path.readlink()}, which does not exist"
            raise FileNotFoundError(errno.ENOENT, reason, str(path)) from None
        if is_address(str(path)):
            raise FileNotFoundError(errno.ENOENT, ADDRESS, str(path)) from None
        if str(path).isdecimal() or str(path).lower() in ("webcam", "camera", "cam"):
            raise FileNotFoundError(errno.ENOENT, CAMERA_HINT, str(path)) from None
        raise
    except ValueError as error:  # a zero byte in the name
        raise OSError(errno.EINVAL, str(error), str(path)) from None
    kind = next((name for is_kind, name in _OTHERS if is_kind(mode)), None)
    if kind is not None:
        raise OSError(errno.EINVAL, f"it is {kind}", str(path))


def open_file(path: Path) -> IO[bytes]:
    """Open a file for reading, after `check_file`."""
    check_file(path)
    return path.open("rb")
