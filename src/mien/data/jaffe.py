"""JAFFE: 213 grey portraits of ten Japanese women who pose seven expressions.

Lyons, Akamatsu, Kamachi and Gyoba, "Coding facial expressions with Gabor wavelets", FG 1998. The file name is
the label: `KA.AN1.39.tiff` is subject KA, angry, first pose, picture 39. The 256 x 256 pictures are read
whole, hair and neck included, as the set's users mostly do.
"""

from __future__ import annotations

import re
from pathlib import Path

from mien.core.errors import DataError
from mien.core.expressions import Expression, LabelSet
from mien.data.dataset import FaceDataset
from mien.data.image_files import SUBJECT, LabelledPicture, build_dataset, list_pictures, name_origin
from mien.data.registry import LoadOptions

EXPECTS = "a folder with pictures named as KA.AN1.39.tiff, or jaffe/ or jaffedbase/ above them"
NEEDS_PATH = True
ORIGIN = "JAFFE is given out on application: https://zenodo.org/records/3451524."
FOLDERS = ("", "jaffe", "jaffedbase")
CODES = {
    "AN": Expression.ANGRY,
    "DI": Expression.DISGUST,
    "FE": Expression.FEAR,
    "HA": Expression.HAPPY,
    "NE": Expression.NEUTRAL,
    "SA": Expression.SAD,
    "SU": Expression.SURPRISE,
}
LABELS = LabelSet(tuple(CODES.values()))
NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})(\d)\.(\d+)")


def matches(path: Path) -> bool:
    """Return whether a folder, or one of the known names in it, holds a picture named as JAFFE's are."""
    return _find_folder(path) is not None


def load(path: Path | None, options: LoadOptions) -> FaceDataset:
    """Load JAFFE.

    It has no splits: all is train, of which `options.validation_share` of the *subjects*, by `options.seed`,
    is set aside as validation. Metadata columns: `subject` (KA) and `pose` (1 to 4, of this expression).

    Raises:
        DataError: No picture, a file name or an expression code that is not JAFFE's, a picture that stands
            twice or cannot be read.
    """
    with name_origin(ORIGIN):
        folder = None if path is None else _find_folder(path)
        if folder is None:
            raise DataError(f"No JAFFE at {path}: expected {EXPECTS}.")
        pictures = [_parse_name(file) for file in list_pictures(folder)]
        return build_dataset("jaffe", pictures, LABELS, options, subject_apart=True)


def _find_folder(path: Path) -> Path | None:
    for name in FOLDERS:
        folder = path / name
        if folder.is_dir() and any(map(_stem, list_pictures(folder))):
            return folder
    return None


def _stem(file: Path) -> re.Match[str] | None:
    return NAME.fullmatch(file.stem)


def _parse_name(file: Path) -> LabelledPicture:
    match = _stem(file)
    if match is None:
        raise DataError(f"{file} is not named as JAFFE's pictures are; expected SUBJECT.CODE.NUMBER as KA.AN1.39.tiff.")
    subject, code, pose, number = match.groups()
    if code not in CODES:
        raise DataError(f"{file} has expression '{code}'; expected one of {', '.join(CODES)}.")
    return LabelledPicture(file, f"picture {number}", CODES[code], metadata={SUBJECT: subject, "pose": pose})
