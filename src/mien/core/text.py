"""Text for people: percentages, counts, errors and file names."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage.

    >>> percent(0.6), percent(2 / 3, 1)
    ('60 %', '66.7 %')
    """
    return f"{share:.{digits}%}".replace("%", " %")


def number(value: float | None, digits: int = 4, bounds: Sequence[float] | None = None, unit: str = "") -> str:
    """Return a number for a table, with its interval if there is one; "-" for None."""
    if value is None:
        return "-"
    interval = f"  [{', '.join(f'{bound:.{digits}f}' for bound in bounds)}]" if bounds else ""
    return f"{value:.{digits}f}{unit}{interval}"


def points(share: float | None, digits: int = 2, bounds: Sequence[float] | None = None, unit: str = "") -> str:
    """Return a share in percent as `number` does.

    >>> points(0.6971), points(2 / 3, 1, (0.6, 0.75)), points(0.5, 0, unit=" %"), points(None)
    ('69.71', '66.7  [60.0, 75.0]', '50 %', '-')
    """
    return number(None if share is None else 100 * share, digits, [100 * bound for bound in bounds or ()], unit)


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun; the plural adds an s unless it is given.

    >>> count(1, "face"), count(1200, "face"), count(2, "person", "people")
    ('1 face', '1,200 faces', '2 people')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    >>> listed(["happy"]), listed(["happy", "joy", "happiness"])
    ('happy', 'happy, joy and happiness')
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type's name if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def encoding_of(start: bytes) -> str:
    """Return the encoding of a text that begins like this: UTF-16 if a byte order mark says so, else UTF-8.

    >>> encoding_of("é".encode("utf-16")), encoding_of("é".encode("utf-8-sig"))
    ('utf-16', 'utf-8-sig')
    """
    return "utf-16" if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def read_text(path: Path) -> str:
    """Return the text of a file that a person wrote, in the encoding that its beginning says.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not a text.
    """
    content = path.read_bytes()
    return content.decode(encoding_of(content))


def one_line(text: object) -> str:
    r"""Return a message in one line: line breaks, also in file names, become spaces.

    >>> one_line("photo\n1.jpg: damaged")
    'photo 1.jpg: damaged'
    """
    return " ".join(str(text).split())


def printable(text: str) -> str:
    """Return text that any output can encode: bytes of a file name that are not UTF-8 become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
