"""Text for people: percentages, counts, errors and file names."""

from __future__ import annotations


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage.

    >>> percent(0.6), percent(2 / 3, 1)
    ('60 %', '66.7 %')
    """
    return f"{share:.{digits}%}".replace("%", " %")


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun; the plural adds an s unless it is given.

    >>> count(1, "face"), count(1200, "face"), count(2, "person", "people")
    ('1 face', '1,200 faces', '2 people')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type's name if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def printable(text: str) -> str:
    """Return text that any output can encode: bytes of a file name that are not UTF-8 become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
