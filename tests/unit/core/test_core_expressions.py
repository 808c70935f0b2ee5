from __future__ import annotations

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS, FERPLUS_LABELS, LabelSet, canonical, colours_of, misspelt


def test_fer2013_order_is_the_challenge_order() -> None:
    assert FER2013_LABELS.names == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert len(FER2013_LABELS) == 7
    assert FER2013_LABELS.index("Happiness") == 3


@pytest.mark.parametrize("word", ["angry", "anger", " ANGRY "])
def test_spellings(word: str) -> None:
    assert canonical(word) == "angry"


def test_labels_of_ones_own_keep_their_spelling_and_are_found_in_any_case() -> None:
    labels = LabelSet.of(["Laughing", "wide  awake", "Anger", "cafe\u0301"])
    assert labels.names == ("Laughing", "wide awake", "angry", "caf\u00e9")
    assert [labels.index(word) for word in ("laughing", "WIDE AWAKE", "anger", "caf\u00e9")] == [0, 1, 2, 3]
    assert LabelSet.of(labels.names) == labels
    assert misspelt(["hapy", "happy", "laughing"]) == {"hapy": "happy"}


def test_own_labels_have_colours_of_their_own() -> None:
    colours = colours_of(["happy", "calm", "cross"])
    assert len(set(colours.values())) == 3
    assert colours["happy"] == colours_of(["happy"])["happy"]
    assert len(colours_of([f"label {i}" for i in range(20)])) == 20


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["angry", "anger"], "is repeated"),
        (["Calm", "calm"], "is repeated"),
        (["calm", " "], "printable"),
        (["calm", "new\x1b[2J"], "printable"),
        (["calm", "x" * 41], "printable"),
        (["calm", "Score"], "something else"),
        (["calm", "unsure"], "something else"),
    ],
)
def test_words_that_cannot_be_labels_are_refused(words: list[str], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        LabelSet.of(words)


def test_unknown_labels_suggest_the_nearest() -> None:
    with pytest.raises(DataError, match=r"Unknown label 'hapy'\. Did you mean 'happy'\?"):
        FER2013_LABELS.index("hapy")


def test_scores_move_by_name() -> None:
    columns = FER2013_LABELS.columns_from(FERPLUS_LABELS)
    scores = np.arange(8)[None]
    moved = scores[:, columns][0]
    for position, name in enumerate(FER2013_LABELS):
        assert moved[position] == FERPLUS_LABELS.index(name)


def test_missing_labels_are_named() -> None:
    with pytest.raises(DataError, match="contempt"):
        FERPLUS_LABELS.columns_from(FER2013_LABELS)
    with pytest.raises(DataError, match="Unknown label 'contempt'"):
        FER2013_LABELS.index("contempt")
