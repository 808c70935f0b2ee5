"""Files that are written whole or not at all: whoever reads one finds what stood there before, or all of the new."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

SUFFIX = ".part"
"""What the name of a file ends in while it is being written."""


@contextlib.contextmanager
def whole_file(path: Path, *, is_contested: bool = False) -> Iterator[IO[bytes]]:
    """Open a new file beside `path`, which takes the place of `path` when the block ends without an error.

    Args:
        path: The file; its folder exists.
        is_contested: Others may write the same file at the same time, so each gets a name of its own. Without it a
            process that was killed leaves at most one unfinished file, which the next one writes over.

    Raises:
        OSError: The disk is full, or the folder cannot be written; `path` is as before.
    """
    token = f".{os.urandom(8).hex()}" if is_contested else ""
    scratch = path.with_name(f"{path.name}{token}{SUFFIX}")
    try:
        with scratch.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a power failure may leave the new name with nothing behind it
        scratch.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:  # a write does not say to what
            error.filename = str(path)
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes | str, *, is_contested: bool = False) -> None:
    """Write bytes, or text as UTF-8, as `whole_file` does.

    Raises:
        OSError: The disk is full, or the folder cannot be written; `path` is as before.
    """
    with whole_file(path, is_contested=is_contested) as file:
        file.write(content.encode() if isinstance(content, str) else content)
