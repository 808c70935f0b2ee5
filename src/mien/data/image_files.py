"""Labelled image files, read into a `FaceDataset`: what the adapters of file-based data sets share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.core.types import Box
from mien.data.dataset import SUBJECT, FaceDataset
from mien.data.lazy_images import read_images
from mien.data.options import LoadOptions
from mien.data.splits import stratified_mask, subject_mask


@dataclass(frozen=True)
class LabelledImage:
    """One image file of a data set.

    Attributes:
        path: The file.
        identity: Identifies the image within the data set; unique.
        label: Its label.
        split: `train`, `validation` or `test`.
        box: The face's box in pixels if the image shows more than the face. None: the whole image is the face.
        metadata: Further columns.
    """

    path: Path
    identity: str
    label: str
    split: str = "train"
    box: Box | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def build_dataset(name: str, images: Sequence[LabelledImage], label_set: LabelSet, options: LoadOptions) -> FaceDataset:
    """Read images, in their order.

    If none belongs to the split `validation`, `options.validation_share` of the training images is set aside for it,
    drawn by `options.seed`: of each label, or whole subjects if there is a metadata column `subject`.

    Args:
        name: The data set's name.
        images: One or more.
        label_set: Holds every image's label; a label without images stays in it.
        options: Size, channels, crop, seed and validation share.

    Raises:
        DataError: Two images have one identity, a file is missing or cannot be read, or memory does not suffice.
    """
    seen: dict[str, Path] = {}
    for image in images:
        if image.identity in seen:
            raise DataError(f"'{image.identity}' is listed twice: {seen[image.identity]} and {image.path}; remove one.")
        seen[image.identity] = image.path
        if not image.path.is_file():  # checked now, because lazy images would fail in the middle of training
            raise DataError(f"{image.path}: no such file; expected an image.")
    labels = np.array([label_set.names.index(image.label) for image in images], dtype=np.int64)
    splits = np.array([image.split for image in images], dtype="<U10")
    columns = sorted({column for image in images for column in image.metadata})
    metadata = {c: np.array([image.metadata.get(c, "") for image in images], dtype=np.str_) for c in columns}
    is_drawn = "validation" not in splits
    if is_drawn:
        train = np.flatnonzero(splits == "train")
        share, seed = options.validation_share, options.seed
        if SUBJECT in metadata:
            aside = subject_mask(metadata[SUBJECT][train], labels[train], share, seed)
        else:
            aside = stratified_mask(labels[train], share, seed)
        splits[train[aside]] = "validation"
    return FaceDataset(
        name=name,
        images=read_images([image.path for image in images], options, [image.box for image in images]),
        labels=labels,
        splits=splits,
        label_set=label_set,
        paths=tuple(str(image.path) for image in images),
        metadata=metadata,
        is_drawn=is_drawn and "validation" in splits,
    )
