"""Apparent expressions and the order in which data sets and models list them.

FER2013, FER+, RAF-DB, AffectNet and CK+ number the same expressions differently. Every data set and every model has
its own ordered `LabelSet`; scores are moved between them by name, never by number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError, did_you_mean


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


def parse_expression(word: str) -> Expression:
    """Return an expression by its name or a synonym, in upper or lower case; `DataError` if there is none."""
    key = word.strip().lower()
    if key in SYNONYMS:
        return SYNONYMS[key]
    try:
        return Expression(key)
    except ValueError:
        known = [e.value for e in Expression]
        raise DataError(
            f"Unknown label '{word}'.{did_you_mean(key, [*known, *SYNONYMS])} Labels: {', '.join(known)}."
        ) from None


@dataclass(frozen=True)
class LabelSet:
    """An ordered list of expressions: position i is class i of a data set or of a model's output."""

    expressions: tuple[Expression, ...]

    @classmethod
    def of(cls, words: Sequence[str]) -> LabelSet:
        """Make a label set from words; `DataError` if one is unknown or repeated."""
        expressions = tuple(parse_expression(word) for word in words)
        if len(set(expressions)) != len(expressions):
            raise DataError(f"A label is repeated in {', '.join(words)}; expected each label once.")
        return cls(expressions)

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, in order."""
        return tuple(e.value for e in self.expressions)

    def __len__(self) -> int:
        return len(self.expressions)

    def __iter__(self) -> Iterator[Expression]:
        return iter(self.expressions)

    def index(self, word: str) -> int:
        """Return the class number of a label; `DataError` if the set lacks it."""
        expression = parse_expression(word)
        if expression not in self.expressions:
            raise DataError(f"Label '{word}' is not one of {', '.join(self.names)}.")
        return self.expressions.index(expression)

    def columns_from(self, other: LabelSet) -> NDArray[np.intp]:
        """Return each label's column in `other`, for `scores[:, columns]`; `DataError` if one is missing."""
        missing = [e.value for e in self if e not in other.expressions]
        if missing:
            raise DataError(f"Missing labels {', '.join(missing)}; there are only {', '.join(other.names)}.")
        return np.array([other.expressions.index(e) for e in self], dtype=np.intp)


# The ICML 2013 challenge's order: class numbers 0 to 6 of fer2013.csv.
FER2013_LABELS = LabelSet.of(["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"])
# The order of the vote columns of fer2013new.csv, without "unknown" and "NF" (not a face).
FERPLUS_LABELS = LabelSet.of(["neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"])
