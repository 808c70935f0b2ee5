from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.card import CropSpec
from mien.core.errors import DataError
from mien.data import registry
from mien.data.options import LoadOptions

LABELS = ("angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
KEEP = LoadOptions(validation_share=0)
FRAMES = 5


def write_frame(path: Path, grey: int, shape: tuple[int, int] = (490, 640)) -> None:
    """A frame of black, with a face of one shade: the square from (220, 145) to (420, 345)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.zeros(shape, dtype=np.uint8)
    if shape == (48, 48):
        image[:] = grey
    image[145:345, 220:420] = grey
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def write_landmarks(path: Path, left: float, top: float, side: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    points = [(left, top), (left + side, top + side)] + [(left + side / 2, top + side / 2)] * 66
    path.write_text("".join(f"   {x:.7e}   {y:.7e}\n" for x, y in points))


def make_original(root: Path, use_landmarks: bool = False) -> Path:
    """Seven people, one expression each, and an unlabelled sequence of the first."""
    for code in range(1, 8):
        subject = f"S{code:03}"
        for sequence in ("001", "002"):
            for frame in range(1, FRAMES + 1):
                stem = f"{subject}_{sequence}_{frame:08}"
                inside = f"{subject}/{sequence}"
                write_frame(root / "cohn-kanade-images" / inside / f"{stem}.png", 20 * code + frame)
                if use_landmarks:
                    write_landmarks(root / "Landmarks" / inside / f"{stem}_landmarks.txt", 220, 185, 160)
            (root / "Emotion" / subject / sequence).mkdir(parents=True)
        stem = f"{subject}_001_{FRAMES:08}_emotion.txt"
        (root / "Emotion" / subject / "001" / stem).write_text(f"   {code}.0000000e+00\n")
    (root / "cohn-kanade-images" / "S001" / "001" / ".DS_Store").write_bytes(b"x")
    return root


def make_crops(root: Path) -> Path:
    for code, label in enumerate(("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")):
        for frame in (4, 5, 6):
            write_frame(root / label / f"S{code:03}_001_{frame:08}.png", 10 * code + frame, (48, 48))
    return root


def test_last_three_frames_of_labelled_sequences(tmp_path: Path) -> None:
    make_original(tmp_path)
    assert registry.detect(tmp_path) == "ckplus"
    faces = registry.load("ckplus", tmp_path, KEEP)
    assert faces.label_set.names == LABELS
    assert faces.counts() == {"train": dict.fromkeys(LABELS, 3)}
    assert faces.metadata["frame"].tolist() == ["00000003", "00000004", "00000005"] * 7
    assert faces.metadata["subject"].tolist() == [f"S{code:03}" for code in range(1, 8) for _ in range(3)]
    assert set(faces.metadata["sequence"]) == {f"S{code:03}_001" for code in range(1, 8)}
    centre = faces.images[:, 24, 24].astype(int)
    assert np.array_equal(centre // 20 - 1, faces.labels)


@pytest.mark.parametrize("scale", [1.0, 1.2])
def test_the_crop_is_cut_around_the_central_square(tmp_path: Path, scale: float) -> None:
    make_original(tmp_path)
    options = LoadOptions(image_size=100, validation_share=0, crop=CropSpec(scale))
    share = (registry.load("ckplus", tmp_path, options).images[0] > 10).mean()
    assert share == pytest.approx((200 / (400 * scale)) ** 2, rel=0.05)


def test_landmarks_give_a_closer_crop(tmp_path: Path) -> None:
    make_original(tmp_path, use_landmarks=True)
    faces = registry.load("ckplus", tmp_path, LoadOptions(image_size=100, validation_share=0))
    # brows at 185, chin at 345: with the forehead 200 high and 160 wide, 1.1 times its root is 197
    assert (faces.images[0] > 10).mean() > 0.9


def test_crops_of_48_pixels(tmp_path: Path) -> None:
    make_crops(tmp_path / "CK+48")
    for root in (tmp_path, tmp_path / "CK+48"):
        assert registry.detect(root) == "ckplus"
        faces = registry.load("ckplus", root, KEEP)
        assert faces.images.shape == (21, 48, 48)
        assert np.array_equal(faces.images[:, 24, 24] // 10, faces.labels)
        assert faces.metadata["subject"][0] == "S000"


def test_nobody_is_in_training_and_in_validation(tmp_path: Path) -> None:
    make_crops(tmp_path)
    faces = registry.load("ckplus", tmp_path)
    people = {split: set(faces.split(split).metadata["subject"]) for split in ("train", "validation")}
    assert people["validation"]
    assert not people["train"] & people["validation"]
    assert registry.load("ckplus", tmp_path).fingerprint == faces.fingerprint


EMOTION = "Emotion/S003/001/S003_001_00000005_emotion.txt"
IMAGE = "cohn-kanade-images/S003/001/S003_001_00000005.png"
MARKS = "Landmarks/S003/001/S003_001_00000005_landmarks.txt"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda r: (r / IMAGE).unlink(), r"S003_001_00000005\.png: no such file, but .*_emotion\.txt labels it"),
        (
            lambda r: (r / EMOTION).write_text("9.0"),
            r"S003_001_00000005_emotion\.txt has emotion '9\.0'; expected 1 angry",
        ),
        (lambda r: (r / EMOTION).write_text(""), r"has emotion ''"),
        (lambda r: (r / EMOTION).write_text("nan"), r"has emotion 'nan'"),
        (lambda r: (r / IMAGE).write_bytes(b""), r"S003_001_00000005\.png is empty"),
        (lambda r: (r / EMOTION).with_name("S003_001_00000004_emotion.txt").write_text("1.0"), r"001 has two emotions"),
        (
            lambda r: (r / IMAGE).with_name("a.png").write_bytes((r / IMAGE).read_bytes()),
            r"a\.png is not named like CK\+'s",
        ),
        (lambda r: (r / MARKS).unlink(), r"S003_001_00000005_landmarks\.txt: no such file"),
        (lambda r: (r / MARKS).write_text("1 2 3"), r"has 3 numbers; expected x and y of 68 points"),
        (lambda r: (r / MARKS).write_text("one two"), r"holds something other than numbers"),
        (lambda r: (r / "Emotion").rename(r / "FACS"), r"has cohn-kanade-images but no folder Emotion"),
        (lambda r: (r / "cohn-kanade-images").rename(r / "x"), r"has Emotion but no folder cohn-kanade-images"),
    ],
)
def test_broken_original_is_one_line(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(make_original(tmp_path, use_landmarks=True))
    with pytest.raises(DataError, match=expected) as caught:
        registry.load("ckplus", tmp_path)
    assert "http://www.jeffcohn.net/Resources/" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda r: [f.unlink() for f in (r / "fear").iterdir()], "fear holds no images"),
        (lambda r: (r / "fear").rename(r / "dread"), "dread is not named after a label: Unknown label 'dread'"),
        (lambda r: (r / "fear").rename(r / "neutral"), "neutral: 'neutral' is not a label of CK+"),
        (lambda r: (r / "fear" / "S003_001_00000004.png").write_bytes(b"x"), "S003_001_00000004.png is not an image"),
        (
            lambda r: write_frame(r / "anger" / "S003_001_00000004.png", 1, (48, 48)),
            "'S003_001_00000004' is listed",
        ),
    ],
)
def test_broken_crops_are_one_line(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(make_crops(tmp_path))
    with pytest.raises(DataError) as caught:
        registry.load("ckplus", tmp_path)
    assert expected in str(caught.value)
