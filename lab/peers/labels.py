"""The seven expressions of FER2013, and how other tools name them."""

from __future__ import annotations

from collections.abc import Sequence

from mien.core.errors import DataError

# In the order of FER2013's numbers.
SYNONYMS = {
    "angry": {"angry", "anger"},
    "disgust": {"disgust", "disgusted"},
    "fear": {"fear", "fearful"},
    "happy": {"happy", "happiness"},
    "sad": {"sad", "sadness"},
    "surprise": {"surprise", "surprised"},
    "neutral": {"neutral"},
}
EXPRESSIONS = tuple(SYNONYMS)
# Labels that FER2013 lacks: they are left out, and the best of the others counts.
LEFT_OUT = {"contempt"}


def number_labels(labels: Sequence[str]) -> list[int | None]:
    """Return the number of each label among `EXPRESSIONS`; None for those left out.

    Raises:
        DataError: A label is unknown, or an expression has none.
    """
    numbers: list[int | None] = []
    for label in labels:
        name = label.lower()
        found = [number for number, names in enumerate(SYNONYMS.values()) if name in names]
        if not found and name not in LEFT_OUT:
            raise DataError(f"The label '{label}' is unknown; add it to SYNONYMS or LEFT_OUT in lab/peers/labels.py.")
        numbers.append(found[0] if found else None)
    if missing := set(range(len(EXPRESSIONS))) - set(numbers):
        names = ", ".join(EXPRESSIONS[number] for number in sorted(missing))
        raise DataError(f"The labels {', '.join(labels)} lack: {names}.")
    return numbers


def choose(scores: Sequence[float] | None, numbers: Sequence[int | None]) -> int | None:
    """Return the number of the expression with the highest score; the first of equal ones; None without a score.

    Args:
        scores: One per label of the tool; None if the tool found no face.
        numbers: From `number_labels`.
    """
    if scores is None:
        return None
    score, number = max(
        ((score, number) for score, number in zip(scores, numbers, strict=True) if number is not None),
        key=lambda pair: pair[0],
    )
    return number if score > 0 else None
