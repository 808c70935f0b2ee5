"""CK+, the extended Cohn-Kanade set: people who pose from a neutral face to the peak of one of seven expressions.

Lucey et al., "The extended Cohn-Kanade dataset (CK+)", CVPR Workshops 2010. Two layouts are read: the original
(593 sequences of whole frames, 327 of them labelled), of which the last three frames of each labelled sequence
are taken, 981 in all, as the field does; and `CK+48`, the same 981 frames as face crops of 48 pixels.

The frames of the original are cut around the 68 landmarks that come with the set. Where `Landmarks` is not
there, a central square is cut, which shows more around the face. Neither depends on whether a detector finds
the face, so that no frame is lost.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

from mien.core.errors import DataError
from mien.core.expressions import Expression, LabelSet, parse_expression
from mien.core.types import Box
from mien.data.dataset import FaceDataset
from mien.data.image_files import (
    SUBJECT,
    LabelledPicture,
    build_dataset,
    list_entries,
    list_pictures,
    name_origin,
    read_text,
)
from mien.data.registry import LoadOptions

EXPECTS = (
    "a folder with cohn-kanade-images/S005/001/S005_001_00000011.png, Emotion/S005/001/S005_001_00000011_emotion.txt"
    " and, for a closer crop, Landmarks/S005/001/S005_001_00000011_landmarks.txt; or CK+48/anger/S010_004_00000017.png"
)
NEEDS_PATH = True
ORIGIN = "CK+ is given out on application: http://www.jeffcohn.net/Resources/."
# Emotion codes 1 to 7, in that order (Lucey et al., ReadMe of the set); 0 is neutral and labels no sequence.
LABELS = LabelSet.of(["anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"])
LAST_FRAMES = 3
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
LARGEST_EMOTION = 1024
LARGEST_LANDMARKS = 64 * 1024


def matches(path: Path) -> bool:
    """Return whether a folder has the original's images and emotion folders, or is or holds CK+48."""
    return (_first_folder(path, IMAGES) and _first_folder(path, EMOTIONS)) is not None or _crops_folder(
        path
    ) is not None


def load(path: Path | None, options: LoadOptions) -> FaceDataset:
    """Load CK+.

    It has no splits: all is train, of which `options.validation_share` of the *subjects*, by `options.seed`,
    is set aside as validation. Metadata columns: `subject` (S005), `sequence` (S005_001) and `frame`.

    Raises:
        DataError: A file is absent, an emotion code, folder or file name is unknown, a frame or an emotion
            stands twice, a landmark file does not fit, or a picture cannot be read.
    """
    with name_origin(ORIGIN):
        pictures = [] if path is None else _list(path)
        if not pictures:
            raise DataError(f"No CK+ at {path}: expected {EXPECTS}.")
        return build_dataset("ckplus", pictures, LABELS, options, subject_apart=True)


def _list(path: Path) -> list[LabelledPicture]:
    images, emotions = _first_folder(path, IMAGES), _first_folder(path, EMOTIONS)
    if images is not None and emotions is None:
        raise DataError(f"{path} has {images.name} but no folder Emotion; unpack the emotion labels there.")
    if emotions is not None and images is None:
        raise DataError(f"{path} has {emotions.name} but no folder {IMAGES[0]}; unpack the pictures there.")
    if images is not None and emotions is not None:
        return _list_sequences(images, emotions, _first_folder(path, LANDMARKS))
    crops = _crops_folder(path)
    return [] if crops is None else _list_crops(crops)


def _first_folder(path: Path, names: tuple[str, ...]) -> Path | None:
    """Return the innermost of the folders that `names` lists from the outside in, None where there is none."""
    found = [path / name for name in names if (path / name).is_dir()]
    return found[-1] if found else None


def _list_sequences(images: Path, emotions: Path, landmarks: Path | None) -> list[LabelledPicture]:
    pictures = []
    for subject in filter(Path.is_dir, list_entries(emotions)):
        for sequence in filter(Path.is_dir, list_entries(subject)):
            files = [file for file in list_entries(sequence) if file.suffix == ".txt"]
            if len(files) > 1:
                raise DataError(f"{sequence} has two emotions, {files[0].name} and {files[1].name}; expected one.")
            for file in files:  # most sequences of the original have none
                pictures += _list_frames(images / subject.name / sequence.name, file, landmarks)
    return pictures


def _list_frames(folder: Path, emotion_file: Path, landmarks: Path | None) -> list[LabelledPicture]:
    label = _read_emotion(emotion_file)
    peak = emotion_file.stem.removesuffix("_emotion")
    frames = list_pictures(folder)
    if peak not in {frame.stem for frame in frames}:
        raise DataError(f"{folder / peak}.png: no such file, but {emotion_file} labels it.")
    pictures = []
    for frame in frames[-LAST_FRAMES:]:
        metadata = _parse_name(frame)
        box = CENTRAL_BOX
        if landmarks is not None:
            marks = f"{frame.stem}_landmarks.txt"
            box = _read_landmarks(landmarks / folder.parent.name / folder.name / marks)
        pictures.append(LabelledPicture(frame, frame.stem, label, box=box, metadata=metadata))
    return pictures


def _read_emotion(file: Path) -> Expression:
    text = read_text(file, LARGEST_EMOTION).strip()
    codes = {float(i): expression for i, expression in enumerate(LABELS, start=1)}
    try:
        return codes[float(text)]
    except (KeyError, ValueError):
        known = ", ".join(f"{code:.0f} {expression.value}" for code, expression in codes.items())
        raise DataError(f"{file} has emotion '{text[:20]}'; expected {known}.") from None


def _read_landmarks(file: Path) -> Box:
    """Return the face's box, from a frame's landmarks, in pixels."""
    try:
        numbers = [float(word) for word in read_text(file, LARGEST_LANDMARKS).split()]
    except ValueError:
        raise DataError(
            f"{file} holds something that is no number; expected x and y of {LANDMARK_COUNT} points."
        ) from None
    if len(numbers) != 2 * LANDMARK_COUNT or not all(map(math.isfinite, numbers)):
        raise DataError(f"{file} has {len(numbers)} numbers; expected x and y of {LANDMARK_COUNT} points.")
    x, y = numbers[::2], numbers[1::2]
    width, chin = max(x) - min(x), max(y)
    height = (chin - min(y)) * (1 + FOREHEAD)
    left, top = min(x) - MARGIN * width, chin - height - MARGIN * height
    return Box(left, top, width * (1 + 2 * MARGIN), height * (1 + 2 * MARGIN))


def _crops_folder(path: Path) -> Path | None:
    for root in (path, path / "CK+48"):
        if not root.is_dir():
            continue
        folders = [entry for entry in list_entries(root) if entry.is_dir()]
        if any(FRAME.fullmatch(file.stem) for folder in folders for file in list_pictures(folder)[:1]):
            return root
    return None


def _list_crops(root: Path) -> list[LabelledPicture]:
    pictures = []
    for folder in filter(Path.is_dir, list_entries(root)):
        try:
            label = parse_expression(folder.name)
        except DataError as error:
            raise DataError(f"{folder} is not named after a label: {error}") from None
        if label not in LABELS.expressions:
            raise DataError(f"{folder}: '{label}' is no label of CK+; expected {', '.join(LABELS.names)}.")
        files = list_pictures(folder)
        if not files:
            raise DataError(f"{folder} holds no pictures; expected files named as S010_004_00000017.png.")
        pictures += [LabelledPicture(file, file.stem, label, metadata=_parse_name(file)) for file in files]
    return pictures


def _parse_name(file: Path) -> dict[str, str]:
    match = FRAME.fullmatch(file.stem)
    if match is None:
        raise DataError(f"{file} is not named as CK+'s frames are; expected a name as S005_001_00000011.png.")
    return {SUBJECT: match[1], "sequence": f"{match[1]}_{match[2]}", "frame": match[3]}
