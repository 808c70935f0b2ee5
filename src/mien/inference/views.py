"""Test-time augmentation: scores averaged over several views of a face, at the cost of a forward pass for each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError
from mien.inference.model import Model, Scores

Images: TypeAlias = NDArray[np.float32]
Views: TypeAlias = Literal["one", "flip", "ten-crop"]
VIEWS: tuple[Views, ...] = get_args(Views)
# Ten crops of 44 of 48 pixels are usual for FER2013.
CROP_SHARE = 44 / 48


def check_views(name: str) -> Views:
    """Return `name` if it is one of `VIEWS`; else `DataError` names them."""
    for views in VIEWS:
        if name == views:
            return views
    raise DataError(f"No views named '{name}'. Views: {', '.join(VIEWS)}.")


def predict_views(model: Model, images: Images, views: Views) -> Scores:
    """Return a model's scores of faces (n, C, S, S), averaged over the views of each."""
    scores = [model.predict(view) for view in views_of(images, views)]
    if len(scores) == 1:
        return scores[0]
    names = ("logits", "probabilities", "reject")
    return Scores(*(np.mean([getattr(one, name) for one in scores], axis=0) for name in names))


def views_of(images: Images, views: Views) -> Iterator[Images]:
    """Yield the views of a batch, each of the batch's shape.

    "one": the faces; "flip": also their mirror images; "ten-crop": the four corners and the centre, 11 / 12 of the
    side, resized to the input size, each with its mirror image (Krizhevsky et al. 2012, section 4.1).

    Args:
        images: (n, C, S, S) float32.
        views: One of `VIEWS`.
    """
    if views != "ten-crop":
        yield images
        if views == "flip":
            yield images[..., ::-1].copy()
        return
    size = images.shape[-1]
    crop = max(1, round(size * CROP_SHARE))
    rest = size - crop
    for top, left in ((0, 0), (0, rest), (rest, 0), (rest, rest), (rest // 2, rest // 2)):
        part = _resized(images[..., top : top + crop, left : left + crop], size)
        yield part
        yield part[..., ::-1].copy()


def _resized(images: Images, size: int) -> Images:
    resized = np.empty((*images.shape[:2], size, size), dtype=np.float32)
    for image, target in zip(images.reshape(-1, *images.shape[2:]), resized.reshape(-1, size, size), strict=True):
        target[:] = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return resized
