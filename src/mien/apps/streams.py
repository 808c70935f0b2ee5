"""Standard output and error: a character that they cannot encode is never a traceback."""

from __future__ import annotations

import io
import sys


def escape_unencodable() -> None:
    r"""Print characters that the terminal or pipe cannot encode as escapes, such as `\u65e5`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write_utf8() -> None:
    """Write standard output in UTF-8 if it is a file or a pipe, whatever the locale: for CSV, which programs read."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
