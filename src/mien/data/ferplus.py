"""FER+: FER2013's pixels with labels from ten taggers per image, eight classes (see `votes`).

Barsoum, Zhang, Canton Ferrer and Zhang, "Training deep networks for facial expression recognition with
crowd-sourced label distribution", ICMI 2016, arXiv:1608.01041. The images are those of the official rule, which is the
"majority" mode of the authors' published code (`votes.majority_distribution`). Other work scores all images by the
plain argmax of the votes for expressions; the images that this adds are `FaceDataset.unclear`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.core.expressions import FERPLUS_LABELS
from mien.data import fer2013, votes
from mien.data.dataset import SPLITS, FaceDataset
from mien.data.options import LoadOptions

EXPECTS = f"a folder with fer2013.csv (or icml_face_data.csv) and {votes.FILE_NAME}"
NEEDS_PATH = True


def matches(path: Path) -> bool:
    """Return whether `path` is the votes file itself; a folder with both files is FER2013 unless `ferplus` is named."""
    return path.is_file() and path.name == votes.FILE_NAME


def load(path: Path, options: LoadOptions) -> FaceDataset:
    """Load the images that FER+'s official rule keeps; the label is the expression with the most votes.

    `unclear` has the other images with a vote for an expression, with the most frequent one as label.

    Args:
        path: The folder with both files, or either file.
        options: Size and channels.

    Raises:
        DataError: A file is missing, a line is invalid, or the filter keeps nothing.
    """
    source = fer2013.locate(path.parent if matches(path) else path)
    rows = fer2013.read_rows(source)
    counts = fer2013.read_counts(source, rows)
    majority, plain = votes.majority_distribution(counts), votes.plain_distribution(counts)
    is_kept, has_votes = (np.asarray(each.any(axis=1), dtype=np.bool_) for each in (majority, plain))
    if not is_kept.any():
        raise DataError(f"FER+'s filter keeps none of the {len(majority)} images of {source}.")

    def select(is_chosen: NDArray[np.bool_], distribution: NDArray[np.float32], **more: Any) -> FaceDataset:
        chosen = np.flatnonzero(is_chosen)
        return FaceDataset(
            name="ferplus",
            images=fer2013.resize_all(rows.images[chosen], options),
            labels=distribution[chosen].argmax(axis=1).astype(np.int64),
            splits=np.array(SPLITS)[rows.usages[chosen]],
            label_set=FERPLUS_LABELS,
            votes=distribution[chosen],
            is_face=np.ones(len(chosen), dtype=np.bool_),
            **more,
        )

    return select(is_kept, majority, unclear=select(~is_kept & has_votes, plain))
