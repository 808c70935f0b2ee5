"""Apparent expressions, labels of one's own, and the order in which data sets and models list them.

FER2013, FER+, RAF-DB, AffectNet and CK+ number the same expressions differently. Every data set and every model has
its own ordered `LabelSet`; scores are moved between them by name, never by number.
"""

from __future__ import annotations

import difflib
import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, did_you_mean
from mien.core.serialization import table_columns


class Expression(StrEnum):
    """An apparent facial expression; the value is its name in every output."""

    ANGRY = "angry"
    DISGUST = "disgust"
    FEAR = "fear"
    HAPPY = "happy"
    SAD = "sad"
    SURPRISE = "surprise"
    NEUTRAL = "neutral"
    CONTEMPT = "contempt"


# Other names in data sets.
SYNONYMS = {
    "anger": Expression.ANGRY,
    "disgusted": Expression.DISGUST,
    "afraid": Expression.FEAR,
    "fearful": Expression.FEAR,
    "happiness": Expression.HAPPY,
    "joy": Expression.HAPPY,
    "sadness": Expression.SAD,
    "surprised": Expression.SURPRISE,
    "neutrality": Expression.NEUTRAL,
    "contemptuous": Expression.CONTEMPT,
}
# Okabe and Ito's palette for colour-blind people, as RGB; neutral is its black, lightened to grey.
COLOURS: dict[str, tuple[int, int, int]] = {
    Expression.ANGRY: (213, 94, 0),
    Expression.DISGUST: (0, 158, 115),
    Expression.FEAR: (204, 121, 167),
    Expression.HAPPY: (240, 228, 66),
    Expression.SAD: (0, 114, 178),
    Expression.SURPRISE: (230, 159, 0),
    Expression.NEUTRAL: (190, 190, 190),
    Expression.CONTEMPT: (86, 180, 233),
}


# Words that results, tables and the page use beside the labels.
NON_FACE = "non-face"
RESERVED = {*table_columns(()), *table_columns((), is_video=True), NON_FACE, "not a face", "raw", "shares", "unsure"}
LONGEST_NAME = 40
KNOWN = tuple(e.value for e in Expression)


def tidy(word: str) -> str:
    """Return a word with single blanks and composed letters, which file systems write differently."""
    return unicodedata.normalize("NFC", " ".join(word.split()))


def canonical(word: str) -> str:
    """Return a label's name: one of the eight expressions for its name or a synonym, else the word itself.

    Expressions are recognized in upper or lower case; of other words, only blanks are tidied up.

    >>> canonical(" Anger"), canonical("wide  awake")
    ('angry', 'wide awake')
    """
    name = tidy(word)
    key = name.lower()
    return SYNONYMS[key].value if key in SYNONYMS else key if key in KNOWN else name


def check_name(name: str) -> None:
    """Raise `DataError` if a label of one's own cannot be shown, or means something else in results."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise DataError(f"Label {name[:LONGEST_NAME]!r}: expected 1 to {LONGEST_NAME} printable characters.")
    if name.lower() in RESERVED:
        raise DataError(f"Label '{name}' is a word that results use for something else; rename it.")


def misspelt(names: Iterable[str]) -> dict[str, str]:
    """Return the labels that look like a misspelt expression, each with that expression.

    >>> misspelt(["happy", "angri", "calm"])
    {'angri': 'angry'}
    """
    near = {name: difflib.get_close_matches(name.lower(), KNOWN, n=1, cutoff=0.75) for name in names}
    return {name: match[0] for name, match in near.items() if match and name not in KNOWN}


def colours_of(labels: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    """Return a colour (RGB) for each label: an expression's own, and for other words those that are left, in order."""
    left = [colour for name, colour in COLOURS.items() if name not in labels] or list(COLOURS.values())
    rest = itertools.cycle(left)
    return {name: COLOURS[name] if name in COLOURS else next(rest) for name in labels}


@dataclass(frozen=True)
class LabelSet:
    """An ordered list of labels: position i is class i of a data set or of a model's output.

    Labels are the eight expressions, or words of one's own.
    """

    names: tuple[str, ...]

    @classmethod
    def of(cls, words: Iterable[str]) -> LabelSet:
        """Make a label set from words; `DataError` if one is repeated or cannot be a label."""
        names = tuple(canonical(word) for word in words)
        for name in names:
            check_name(name)
        if len({name.casefold() for name in names}) != len(names):
            raise DataError(f"A label is repeated in {', '.join(names)}; expected each label once.")
        return cls(names)

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def index(self, word: str) -> int:
        """Return the class number of a label, in upper or lower case, or of a synonym.

        Raises:
            DataError: The set lacks it.
        """
        key = canonical(word).casefold()
        for number, name in enumerate(self.names):
            if name.casefold() == key:
                return number
        known = [*self.names, *(synonym for synonym, name in SYNONYMS.items() if name in self.names)]
        raise DataError(f"Unknown label '{word}'.{did_you_mean(key, known)} Labels: {', '.join(self.names)}.")

    def columns_from(self, other: LabelSet) -> NDArray[np.intp]:
        """Return each label's column in `other`, for `scores[:, columns]`; `DataError` if one is missing."""
        missing = [name for name in self if name not in other.names]
        if missing:
            raise DataError(f"Missing labels {', '.join(missing)}; there are only {', '.join(other.names)}.")
        return np.array([other.names.index(name) for name in self], dtype=np.intp)


def output_names(labels: Iterable[str], *, rejects: bool) -> tuple[str, ...]:
    """Return what a network's logits are of, in order: its labels, then "non-face" if it can reject."""
    return (*labels, NON_FACE) if rejects else tuple(labels)


# The ICML 2013 challenge's order: class numbers 0 to 6 of fer2013.csv.
FER2013_LABELS = LabelSet.of(["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"])
# The order of the vote columns of fer2013new.csv, without "unknown" and "NF" (not a face).
FERPLUS_LABELS = LabelSet.of(["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"])
