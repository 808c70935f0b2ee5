from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_sets import assert_refused, write_image

from mien.core.card import CropSpec
from mien.core.errors import DataError
from mien.data import registry
from mien.data.options import LoadOptions

LABELS = ("angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")
KEEP = LoadOptions(validation_share=0)
FRAMES = 5
AROUND = ((145, 145), (220, 220))


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
                # a face from (220, 145) to (420, 345) in a frame of 640 x 490
                write_image(root / "cohn-kanade-images" / inside / f"{stem}.png", 20 * code + frame, 200, AROUND)
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
            write_image(root / label / f"S{code:03}_001_{frame:08}.png", 10 * code + frame)
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


@pytest.mark.parametrize("make", [make_original, make_crops])
def test_fewer_frames_are_the_last_ones_of_each_sequence(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    make(tmp_path)
    last = "00000005" if make is make_original else "00000006"
    alone = registry.load("ckplus", tmp_path, LoadOptions(validation_share=0, frames=1))
    assert alone.metadata["frame"].tolist() == [last] * 7
    assert len(set(alone.metadata["sequence"])) == 7
    assert len(registry.load("ckplus", tmp_path, LoadOptions(validation_share=0, frames=2))) == 14
    with pytest.raises(DataError, match="frames is 0"):
        registry.load("ckplus", tmp_path, LoadOptions(frames=0))


EMOTION = "Emotion/S003/001/S003_001_00000005_emotion.txt"
IMAGE = "cohn-kanade-images/S003/001/S003_001_00000005.png"
MARKS = "Landmarks/S003/001/S003_001_00000005_landmarks.txt"
ORIGIN = "http://www.jeffcohn.net/Resources/"


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda r: (r / IMAGE).unlink(), r"S003_001_00000005\.png: no such file, but .*_emotion\.txt labels it"),
        (
            lambda r: (r / EMOTION).write_text("9.0"),
            r"00005_emotion\.txt has label '9\.0'; expected 1 angry, 2 contempt",
        ),
        (lambda r: (r / EMOTION).write_text(""), r"has label ''"),
        (lambda r: (r / IMAGE).write_bytes(b""), r"S003_001_00000005\.png is empty"),
        (lambda r: (r / EMOTION).with_name("S003_001_00000004_emotion.txt").write_text("1.0"), r"001 has two emotions"),
        (lambda r: (r / IMAGE).with_name("a.png").touch(), r"a\.png is not named like CK\+'s"),
        (lambda r: (r / MARKS).unlink(), r"S003_001_00000005_landmarks\.txt cannot be read"),
        (lambda r: (r / MARKS).write_text("1 2 3"), r"has 3 numbers; expected x and y of 68 points"),
        (lambda r: (r / MARKS).write_text("one two"), r"is not a text of numbers"),
        (lambda r: (r / "Emotion").rename(r / "FACS"), r"has only one of the folders cohn-kanade-images and Emotion"),
    ],
)
def test_broken_original_is_one_line(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(make_original(tmp_path, use_landmarks=True))
    assert_refused("ckplus", tmp_path, expected, ORIGIN)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda r: (r / "fear").rename(r / "dread"), "dread: Unknown label 'dread'"),
        (lambda r: (r / "fear").rename(r / "neutral"), "neutral: Unknown label 'neutral'"),
        (lambda r: write_image(r / "anger" / "S003_001_00000004.png", 1), "'S003_001_00000004' is listed"),
    ],
)
def test_broken_crops_are_one_line(tmp_path: Path, damage: Callable[[Path], object], expected: str) -> None:
    damage(make_crops(tmp_path))
    assert_refused("ckplus", tmp_path, expected, ORIGIN)
