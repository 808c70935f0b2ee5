"""JAFFE: 213 grey portraits of ten Japanese women posing seven expressions.

Lyons, Akamatsu, Kamachi and Gyoba, "Coding facial expressions with Gabor wavelets", FG 1998. The label is in the file
name: `KA.AN1.39.tiff` is subject KA, angry, first pose, image 39. The 256 x 256 images are used whole, with hair and
neck, as in most papers.
"""

from __future__ import annotations

import re
from pathlib import Path

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.data.dataset import SUBJECT, FaceDataset
from mien.data.image_files import LabelledImage, build_dataset
from mien.data.label_files import errors_with, list_images
from mien.data.options import LoadOptions

EXPECTS = "a folder with images named as KA.AN1.39.tiff, or jaffe/ or jaffedbase/ above them"
NEEDS_PATH = True
ORIGIN = "JAFFE is available on request: https://zenodo.org/records/3451524."
FOLDERS = ("", "jaffe", "jaffedbase")
LABELS = LabelSet.of(["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"])
CODES = dict(zip(("AN", "DI", "FE", "HA", "NE", "SA", "SU"), LABELS, strict=True))
NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})(\d)\.(\d+)")


def matches(path: Path) -> bool:
    """Return whether a folder, or one of the known folders in it, holds an image with a JAFFE name."""
    return _find_folder(path) is not None


@errors_with(ORIGIN)
def load(path: Path, options: LoadOptions) -> FaceDataset:
    """Load JAFFE.

    It has no splits: all images are train, of which `options.validation_share` of the *subjects* are set aside for
    validation. Metadata columns: `subject` (KA) and `pose` (1 to 4, of this expression).

    Raises:
        DataError: There are no images, a file name or an expression code is not JAFFE's, or an image is listed twice
            or unreadable.
    """
    folder = _find_folder(path)
    if folder is None:
        raise DataError(f"No JAFFE at {path}: expected {EXPECTS}.")
    return build_dataset("jaffe", [_parse_name(file) for file in list_images(folder)], LABELS, options)


def _find_folder(path: Path) -> Path | None:
    folders = [path / name for name in FOLDERS if (path / name).is_dir()]
    return next((f for f in folders if any(NAME.fullmatch(file.stem) for file in list_images(f))), None)


def _parse_name(file: Path) -> LabelledImage:
    match = NAME.fullmatch(file.stem)
    if match is None:
        raise DataError(f"{file} is not named like JAFFE's images; expected SUBJECT.CODE.NUMBER as KA.AN1.39.tiff.")
    subject, code, pose, number = match.groups()
    if code not in CODES:
        raise DataError(f"{file} has expression '{code}'; expected one of {', '.join(CODES)}.")
    return LabelledImage(file, f"image {number}", CODES[code], metadata={SUBJECT: subject, "pose": pose})
