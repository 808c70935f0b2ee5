"""Groups of images where nobody labelled the people: by what is measured on the image, and by what the network sees.

Accuracy by age, sex or skin tone needs labels that most data sets of expressions lack, and guessing them with another
network adds that network's errors. Two substitutes need none:

- **Measures** of each image, which go with conditions and, in part, with people: brightness, sharpness, pose.
- **Feature groups**: clusters of what the network sees besides the expression. What the logits explain linearly is
  taken out of the features of the last layer, and the rest is clustered. A group in which the network fails more often
  than chance allows points to a kind of face that it handles worse, whatever that kind is; a sheet of its faces shows
  it. Whether a network is biased against groups that nobody labelled, asked of its features and with corrected tests,
  is the question of Lian and Celiktutan, arXiv 2505.20512. This procedure is ours, not theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.core.errors import DataError
from mien.data.dataset import FaceDataset
from mien.evaluation.predict import predict_features
from mien.inference.detectors import Detector
from mien.inference.model import OnnxModel

MEASURES = ("brightness", "contrast", "sharpness", "asymmetry", "detector_score", "roll", "face_share")
FEATURE_GROUP = "feature_group"
GROUPS = 8
# Side of the images that sharpness is measured on, so that it does not depend on the size they were loaded at.
SIDE = 48
TILE, SHOWN = 64, 14


def describe_images(
    model: OnnxModel, faces: FaceDataset, detector: Detector, progress: Callable[[int], None] | None = None
) -> dict[str, NDArray[np.str_]]:
    """Return the columns of `measure_images`, and `feature_group` with the groups of the model's features.

    Raises:
        DataError: There are fewer images than groups.
    """
    groups = group_features(*predict_features(model, faces))
    columns = measure_images(faces.images, detector, progress)
    return {**columns, FEATURE_GROUP: np.array([f"group {number + 1}" for number in groups])}


def measure_images(
    images: Iterable[NDArray[np.uint8]], detector: Detector, progress: Callable[[int], None] | None = None
) -> dict[str, NDArray[np.str_]]:
    """Measure every image, and return each measure as a column of metadata: decimal numbers, "" where there is none.

    - `brightness`: mean grey level, 0 to 255. `contrast`: its standard deviation.
    - `sharpness`: standard deviation of the Laplacian at 48 pixels, divided by the contrast.
    - `asymmetry`: mean difference between the image and its mirror image, divided by the contrast; a proxy of pose.
    - `detector_score`, `roll` (degrees) and `face_share` (the box's side / the image's): of the best face that the
      detector finds if the image is continued by its border.

    Args:
        images: Faces, (h, w) or (h, w, 3) uint8.
        detector: Finds the faces again.
        progress: Called after each image with 1.
    """
    rows = []
    for image in images:
        rows.append([*_measure(image), *_detect(image, detector)])
        if progress is not None:
            progress(1)
    return {
        name: np.array(["" if np.isnan(value) else f"{value:.4f}" for value in column], dtype=np.str_)
        for name, column in zip(MEASURES, zip(*rows, strict=True), strict=True)
    }


def _measure(image: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float64)
    contrast = max(float(small.std()), 1.0)
    sharpness = float(cv2.Laplacian(small, cv2.CV_64F).std()) / contrast
    return float(small.mean()), float(small.std()), sharpness, float(np.abs(small - small[:, ::-1]).mean()) / contrast


def _detect(image: NDArray[np.uint8], detector: Detector) -> tuple[float, float, float]:
    side = min(image.shape[:2])
    rgb = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    margin = side // 2
    wider = cv2.copyMakeBorder(rgb, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    found = detector.detect(np.asarray(wider, dtype=np.uint8))
    if not found:
        return np.nan, np.nan, np.nan
    best = max(found, key=lambda detection: detection.score)
    return best.score, best.roll, max(best.box.width, best.box.height) / side


def group_features(
    features: NDArray[np.floating], logits: NDArray[np.floating], groups: int = GROUPS
) -> NDArray[np.intp]:
    r"""Cluster what features hold beyond the logits.

    .. math:: R = F - [1, Z] B, \quad B = \arg\min_B \| F - [1, Z] B \|^2

    The rows of R, each column divided by its deviation, are clustered by k-means (k-means++ starts, best of five).
    Neither labels nor errors are used, so a test of the groups' accuracy is valid.

    Args:
        features: (n, d), what the last layer gets.
        logits: (n, k).
        groups: At most this many clusters.

    Returns:
        The group of each image, (n,), 0 for the largest.

    Raises:
        DataError: There are fewer images than groups.
    """
    if len(features) < groups:
        raise DataError(f"{len(features)} images cannot form {groups} groups of features.")
    known = np.column_stack([np.ones(len(logits)), logits]).astype(np.float64)
    rest = features - known @ np.linalg.lstsq(known, features.astype(np.float64), rcond=None)[0]
    rest = (rest / np.maximum(rest.std(axis=0), 1e-6)).astype(np.float32)
    cv2.setRNGSeed(0)
    ends = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-4)
    _, found, _ = cv2.kmeans(rest, groups, None, ends, 5, cv2.KMEANS_PP_CENTERS)
    order = np.argsort(-np.bincount(found.ravel(), minlength=groups), kind="stable")
    return np.asarray(np.argsort(order)[found.ravel()], dtype=np.intp)


def save_group_sheet(path: Path, images: NDArray[np.uint8], groups: NDArray[np.str_]) -> None:
    """Draw a row of faces for each group, evenly spread over it.

    Raises:
        DataError: The file cannot be written.
    """
    names = sorted(set(groups.tolist()))
    sheet = Image.new("RGB", ((SHOWN + 1) * TILE, len(names) * TILE), (40, 40, 40))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for row, name in enumerate(names):
        rows = np.flatnonzero(groups == name)
        draw.text((6, row * TILE + TILE // 2 - 16), f"{name}\n{len(rows)}", font=font, fill="white")
        for column, number in enumerate(rows[np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).astype(int)]):
            tile = Image.fromarray(images[number]).resize((TILE, TILE))
            sheet.paste(tile, ((column + 1) * TILE, row * TILE))
    try:
        sheet.save(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be written ({error}); name a .png or .jpg file.") from None
