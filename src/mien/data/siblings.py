"""How many scored images have a sibling in training: another frame of their sequence, or the same person.

Neighbouring frames of a sequence are nearly the same image. Where a random split puts them on both sides, a score says
little about new people.
"""

from __future__ import annotations

import numpy as np

from mien.data.dataset import SUBJECT, FaceDataset

SEQUENCE = "sequence"


def count_siblings(dataset: FaceDataset, trained: str, scored: str) -> dict[str, int]:
    """Return the scored images with an image of the same sequence, and of the same person, in training.

    Args:
        dataset: Divided by its protocol.
        trained: The split that is trained on.
        scored: Another split.

    Returns:
        `images`, the number of scored images, and one count for each of the columns `sequence` and `subject` that the
        data set has; empty if it has neither, or if the splits are the same.
    """
    columns = [column for column in (SEQUENCE, SUBJECT) if column in dataset.metadata]
    if not columns or trained == scored:
        return {}
    is_scored, is_trained = dataset.splits == scored, dataset.splits == trained
    counts = {"images": int(is_scored.sum())}
    for column in columns:
        values = dataset.metadata[column]
        known = values[is_trained & (values != "")]
        counts[column] = int(np.isin(values[is_scored], known).sum())
    return counts


def describe_siblings(counts: dict[str, int], scored: str) -> str:
    """Say what `count_siblings` found; "" if no scored image has a sibling in training.

    >>> describe_siblings({"images": 25, "sequence": 23, "subject": 25}, "test")
    'of 25 test images, 23 have a frame of the same sequence in training, 25 show a person of training'
    """
    words = {SEQUENCE: "have a frame of the same sequence in training", SUBJECT: "show a person of training"}
    parts = [f"{counts[column]} {text}" for column, text in words.items() if counts.get(column)]
    return f"of {counts['images']} {scored} images, {', '.join(parts)}" if parts else ""
