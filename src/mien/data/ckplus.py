"""CK+, the extended Cohn-Kanade set: people posing from a neutral face to the peak of one of seven expressions.

Lucey et al., "The extended Cohn-Kanade dataset (CK+)", CVPR Workshops 2010. Two layouts are read: the original
(593 sequences of whole frames, 327 of them labelled), of which the last frames of each labelled sequence are used, by
default three, 981 in all, as is usual; and `CK+48`, the same 981 frames as face crops of 48 pixels. With
`options.frames` 1, the peak of each of the 327 sequences is used alone.

The frames of the original are cropped around the set's own 68 landmarks or, without `Landmarks`, to a central square,
which shows more around the face. Neither depends on a face detector, so no frame is lost.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from mien.core.errors import DataError
from mien.core.expressions import LabelSet
from mien.core.types import Box
from mien.data.dataset import SUBJECT, FaceDataset
from mien.data.image_files import LabelledImage, build_dataset
from mien.data.label_files import (
    errors_with,
    list_entries,
    list_folders,
    list_images,
    parse_number,
    parse_word,
    read_text,
    reading,
)
from mien.data.options import LoadOptions

EXPECTS = (
    "a folder with cohn-kanade-images/S005/001/S005_001_00000011.png, Emotion/S005/001/S005_001_00000011_emotion.txt"
    " and, for a closer crop, Landmarks/S005/001/S005_001_00000011_landmarks.txt; or CK+48/anger/S010_004_00000017.png"
)
NEEDS_PATH = True
ORIGIN = "CK+ is available on request: http://www.jeffcohn.net/Resources/."
# Emotion codes 1 to 7, in that order (Lucey et al., ReadMe of the set); 0 is neutral and labels no sequence.
LABELS = LabelSet.of(["anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"])
IMAGES = ("cohn-kanade-images", "extended-cohn-kanade-images/cohn-kanade-images")
EMOTIONS = ("Emotion", "Emotion_labels/Emotion")
LANDMARKS = ("Landmarks", "Landmarks/Landmarks")
FRAME = re.compile(r"(S\d{3})_(\d{3})_(\d{8})")
LANDMARK_COUNT = 68
# The landmarks reach from the brows to the chin; a forehead adds about a quarter of that height.
FOREHEAD = 0.25
# Added on each side, so that the frame is about 1.1 times the square root of the face's area (docs/data.md).
MARGIN = 0.05
# In the 640 x 490 pixels of a frame; it is wider than any face of the set.
CENTRAL_BOX = Box(120, 40, 400, 400)


def matches(path: Path) -> bool:
    """Return whether a folder has the original's images and emotion folders, or is or holds CK+48."""
    has_original = _innermost(path, IMAGES) is not None and _innermost(path, EMOTIONS) is not None
    return has_original or _crops_folder(path) is not None


@errors_with(ORIGIN)
def load(path: Path, options: LoadOptions) -> FaceDataset:
    """Load CK+.

    It has no splits: all images are train, of which `options.validation_share` of the *subjects* are set aside for
    validation. Metadata columns: `subject` (S005), `sequence` (S005_001) and `frame`.

    Raises:
        DataError: A file is missing or unreadable, an emotion code, a landmark file, a folder or a file name is
            invalid, or a frame or an emotion is listed twice.
    """
    if options.frames < 1:
        raise DataError(f"frames is {options.frames}; expected 1 or more of each sequence.")
    images = list(_list(path, options.frames))
    if not images:
        raise DataError(f"No CK+ at {path}: expected {EXPECTS}.")
    return build_dataset("ckplus", images, LABELS, options)


def _list(path: Path, count: int) -> Iterator[LabelledImage]:
    images, emotions, crops = _innermost(path, IMAGES), _innermost(path, EMOTIONS), _crops_folder(path)
    if images and emotions:
        yield from _list_sequences(images, emotions, _innermost(path, LANDMARKS), count)
    elif images or emotions:
        raise DataError(f"{path} has only one of the folders {IMAGES[0]} and {EMOTIONS[0]}; unpack both there.")
    elif crops:
        yield from _last_crops(crops, count)


def _last_crops(root: Path, count: int) -> Iterator[LabelledImage]:
    """Yield the last crops of each sequence, label by label."""
    labelled = [
        LabelledImage(file, file.stem, parse_word(folder.name, folder, LABELS), metadata=_parse_name(file))
        for folder in list_folders(root)
        for file in list_images(folder)
    ]
    frames: dict[str, set[str]] = defaultdict(set)
    for image in labelled:
        frames[image.metadata["sequence"]].add(image.metadata["frame"])
    last = {sequence: sorted(numbers)[-count:] for sequence, numbers in frames.items()}
    yield from (image for image in labelled if image.metadata["frame"] in last[image.metadata["sequence"]])


def _innermost(path: Path, names: tuple[str, ...]) -> Path | None:
    """Return the last of the folders `names` that exists, None if there is none."""
    return next((path / name for name in reversed(names) if (path / name).is_dir()), None)


def _list_sequences(root: Path, emotions: Path, landmarks: Path | None, count: int) -> Iterator[LabelledImage]:
    for sequence in (sequence for subject in list_folders(emotions) for sequence in list_folders(subject)):
        files = [file for file in list_entries(sequence) if file.suffix == ".txt"]
        if len(files) > 1:
            raise DataError(f"{sequence} has two emotions, {files[0].name} and {files[1].name}; expected one.")
        for file in files:  # most sequences of the original have none
            yield from _list_frames(root / sequence.parent.name / sequence.name, file, landmarks, count)


def _list_frames(folder: Path, emotion_file: Path, landmarks: Path | None, count: int) -> Iterator[LabelledImage]:
    label = parse_number(read_text(emotion_file), LABELS, emotion_file)
    peak = emotion_file.stem.removesuffix("_emotion")
    frames = list_images(folder)
    if peak not in {frame.stem for frame in frames}:
        raise DataError(f"{folder / peak}.png: no such file, but {emotion_file} labels it.")
    for frame in frames[-count:]:
        metadata, box = _parse_name(frame), CENTRAL_BOX
        if landmarks is not None:
            box = _read_landmarks(landmarks / folder.parent.name / folder.name / f"{frame.stem}_landmarks.txt")
        yield LabelledImage(frame, frame.stem, label, box=box, metadata=metadata)


def _read_landmarks(file: Path) -> Box:
    """Return the face's box, in pixels, from a frame's landmarks."""
    with reading(file, "a text of numbers"):
        numbers = [float(word) for word in read_text(file).split()]
    if len(numbers) != 2 * LANDMARK_COUNT or not all(map(math.isfinite, numbers)):
        raise DataError(f"{file} has {len(numbers)} numbers; expected x and y of {LANDMARK_COUNT} points.")
    x, y = numbers[::2], numbers[1::2]
    width, chin = max(x) - min(x), max(y)
    height = (chin - min(y)) * (1 + FOREHEAD)
    left, top = min(x) - MARGIN * width, chin - height - MARGIN * height
    return Box(left, top, width * (1 + 2 * MARGIN), height * (1 + 2 * MARGIN))


def _crops_folder(path: Path) -> Path | None:
    for root in (path, path / "CK+48"):
        folders = list_folders(root) if root.is_dir() else []
        if any(FRAME.fullmatch(file.stem) for folder in folders for file in list_images(folder)[:1]):
            return root
    return None


def _parse_name(file: Path) -> dict[str, str]:
    match = FRAME.fullmatch(file.stem)
    if match is None:
        raise DataError(f"{file} is not named like CK+'s frames; expected a name as S005_001_00000011.png.")
    return {SUBJECT: match[1], "sequence": f"{match[1]}_{match[2]}", "frame": match[3]}
