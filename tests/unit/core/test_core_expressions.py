from __future__ import annotations

import numpy as np
import pytest

from mien.core.errors import DataError
from mien.core.expressions import FER2013_LABELS, FERPLUS_LABELS, Expression, LabelSet, parse_expression


def test_fer2013_order_is_the_challenge_order() -> None:
    assert FER2013_LABELS.names == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert len(FER2013_LABELS) == 7
    assert FER2013_LABELS.index("Happiness") == 3


@pytest.mark.parametrize("word", ["angry", "anger", " ANGRY "])
def test_spellings(word: str) -> None:
    assert parse_expression(word) is Expression.ANGRY


def test_unknown_and_repeated_words_are_refused() -> None:
    with pytest.raises(DataError, match=r"Unknown label 'hapy'\. Did you mean 'happy'\?"):
        parse_expression("hapy")
    with pytest.raises(DataError, match="is repeated"):
        LabelSet.of(["angry", "anger"])


def test_scores_move_by_name() -> None:
    columns = FER2013_LABELS.columns_from(FERPLUS_LABELS)
    scores = np.arange(8)[None]
    moved = scores[:, columns][0]
    for position, expression in enumerate(FER2013_LABELS):
        assert moved[position] == FERPLUS_LABELS.index(expression.value)


def test_missing_labels_are_named() -> None:
    with pytest.raises(DataError, match="contempt"):
        FERPLUS_LABELS.columns_from(FER2013_LABELS)
    with pytest.raises(DataError, match="not one of"):
        FER2013_LABELS.index("contempt")
