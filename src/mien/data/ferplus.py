"""FER+: FER2013's pixels with labels from ten taggers per image, eight classes (see `votes`).

Barsoum, Zhang, Canton Ferrer and Zhang, "Training deep networks for facial expression recognition with
crowd-sourced label distribution", ICMI 2016, arXiv:1608.01041. The filter is that of the authors' published
preprocessing in its "majority" mode.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

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
    """Load the images that FER+'s filter keeps; `label` is the expression with the most votes.

    Args:
        path: The folder with both files, or either file.
        options: Size and channels.

    Raises:
        DataError: A file is missing, a line is invalid, or the filter keeps nothing.
    """
    source = fer2013.locate(path.parent if matches(path) else path)
    rows = fer2013.read_rows(source)
    distribution = votes.majority_distribution(fer2013.read_counts(source, rows))
    kept = np.flatnonzero(distribution.any(axis=1))
    if not len(kept):
        raise DataError(f"FER+'s filter keeps none of the {len(distribution)} images of {source}.")
    return FaceDataset(
        name="ferplus",
        images=fer2013.resize_all(rows.images[kept], options),
        labels=distribution[kept].argmax(axis=1).astype(np.int64),
        splits=np.array(SPLITS)[rows.usages[kept]],
        label_set=FERPLUS_LABELS,
        votes=distribution[kept],
        is_face=np.ones(len(kept), dtype=np.bool_),
    )
