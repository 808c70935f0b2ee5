"""Write files completely or not at all: a reader finds the old content or all of the new."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

SUFFIX = ".part"
"""The suffix of a file while it is being written."""


@contextlib.contextmanager
def whole_file(path: Path, *, is_contested: bool = False) -> Iterator[IO[bytes]]:
    """Open a new file beside `path`, which replaces `path` when the block ends without an error.

    Args:
        path: The file; its folder exists.
        is_contested: Other processes may write the same file at the same time, so each uses a name of its own. If
            False, a process that is killed leaves at most one unfinished file, which the next one overwrites.

    Raises:
        OSError: The disk is full, or the folder cannot be written; `path` is unchanged.
    """
    token = f".{os.urandom(8).hex()}" if is_contested else ""
    scratch = path.with_name(f"{path.name}{token}{SUFFIX}")
    try:
        with scratch.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # otherwise a power failure may leave an empty file under the new name
        scratch.replace(path)
    except BaseException as error:
        # errors while writing do not name the file; those of opening and replacing name the unfinished one
        if isinstance(error, OSError) and error.filename in (None, str(scratch)):
            error.filename = str(path)
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def write_whole(path: Path, content: bytes | str, *, is_contested: bool = False) -> None:
    """Write bytes, or text as UTF-8; errors as in `whole_file`."""
    with whole_file(path, is_contested=is_contested) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: Any) -> None:
    """Write JSON text, indented and ending with a line feed; errors as in `whole_file`."""
    write_whole(path, json.dumps(content, indent=1) + "\n")
