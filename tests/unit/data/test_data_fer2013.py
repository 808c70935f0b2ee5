from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_sets import assert_refused
from numpy.typing import NDArray

from mien.data import fer2013, registry
from mien.data.options import LoadOptions

USAGES = ["Training", "PublicTest", "Training", "PrivateTest", "Training"]
EMOTIONS = [0, 6, 3, 2, 5]
GOOD = " ".join(["7"] * 2304)
VOTES_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)


def text_of(image: NDArray[np.uint8]) -> str:
    return " ".join(map(str, image.ravel().tolist()))


def write_csv(path: Path, pixels: NDArray[np.uint8]) -> Path:
    rows = [f"{e},{text_of(i)},{u}" for e, i, u in zip(EMOTIONS, pixels, USAGES, strict=True)]
    path.write_text("\n".join(["emotion,pixels,Usage", *rows]) + "\n")
    return path


@pytest.fixture
def source(tmp_path: Path, pixels: NDArray[np.uint8]) -> Path:
    return write_csv(tmp_path / "fer2013.csv", pixels)


def write_votes(path: Path, rows: list[str]) -> None:
    path.write_text(VOTES_HEADER + "".join(f"{row}\n" for row in rows), encoding="latin-1")


def write_row(path: Path, row: str) -> Path:
    path.write_text(f"emotion,pixels,Usage\n0,{GOOD},Training\n{row}\n")
    return path


def test_every_column_is_read(tmp_path: Path, source: Path, pixels: NDArray[np.uint8]) -> None:
    faces = registry.load("fer2013", tmp_path)
    np.testing.assert_array_equal(faces.images, pixels)
    assert faces.labels.tolist() == EMOTIONS
    assert faces.splits.tolist() == ["train", "validation", "train", "test", "train"]
    assert faces.votes is None
    assert faces.is_face is None


def test_icml_spelling_is_the_same_data(tmp_path: Path, source: Path, pixels: NDArray[np.uint8]) -> None:
    own = fer2013.load(source, LoadOptions())
    (tmp_path / "icml").mkdir()
    rows = [f"{e},{u},{text_of(i)}" for e, i, u in zip(EMOTIONS, pixels, USAGES, strict=True)]
    lines = ["\ufeffemotion, Usage, pixels", *rows]
    (tmp_path / "icml" / "icml_face_data.csv").write_bytes("\r\n".join(lines).encode())
    faces = registry.load("fer2013", tmp_path / "icml")
    assert faces.fingerprint == own.fingerprint


def test_any_white_space_and_quotes_are_read(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    text = text_of(pixels[0]).replace(" ", "  ")
    path = write_row(tmp_path / "fer2013.csv", f'4,"{text}",PublicTest\n\n')
    np.testing.assert_array_equal(fer2013.load(path, LoadOptions()).images[1:], pixels[:1])


def test_second_load_is_memory_mapped_and_equal(tmp_path: Path, source: Path) -> None:
    first = fer2013.load(source, LoadOptions())
    (cache,) = (tmp_path / ".mien-cache").iterdir()
    second = fer2013.load(source, LoadOptions())
    assert second.fingerprint == first.fingerprint
    assert not first.images.flags.writeable
    assert not second.images.flags.writeable
    base = second.images
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)
    assert cache.suffix == ".npy"


def test_changed_file_replaces_its_cache(tmp_path: Path, source: Path, pixels: NDArray[np.uint8]) -> None:
    fer2013.load(source, LoadOptions())
    write_csv(source, 255 - pixels)
    np.testing.assert_array_equal(fer2013.load(source, LoadOptions()).images, 255 - pixels)
    assert len(list((tmp_path / ".mien-cache").iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"not a cache", b"\x93NUMPY"])
def test_damaged_cache_is_parsed_again(tmp_path: Path, source: Path, pixels: NDArray[np.uint8], damage: bytes) -> None:
    fer2013.load(source, LoadOptions())
    (cache,) = (tmp_path / ".mien-cache").iterdir()
    cache.write_bytes(damage)
    np.testing.assert_array_equal(fer2013.load(source, LoadOptions()).images, pixels)


def test_unwritable_cache_is_not_an_error(tmp_path: Path, source: Path, pixels: NDArray[np.uint8]) -> None:
    (tmp_path / ".mien-cache").write_text("a file where the folder should be")
    np.testing.assert_array_equal(fer2013.load(source, LoadOptions()).images, pixels)


def test_images_are_resized_on_request(source: Path, pixels: NDArray[np.uint8]) -> None:
    assert fer2013.load(source, LoadOptions(image_size=24)).images.shape == (5, 24, 24)
    colour = fer2013.load(source, LoadOptions(channels=3)).images
    np.testing.assert_array_equal(colour, np.repeat(pixels[..., None], 3, axis=3))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (f"0,{GOOD[:-2]},Training", "line 3 has 2303 pixels; expected 2304"),
        (f"0,{GOOD[:-1]}x,Training", "line 3 has pixel 'x'"),
        (f"0,{GOOD[:-1]}256,Training", "line 3 has pixel '256'"),
        (f"0,{GOOD[:-1]}{'9' * 100},Training", "line 3 has pixel '99999999999999999999'"),
        (f"7,{GOOD},Training", "line 3 has emotion '7'; expected a number from 0 to 6"),
        (f"0,{GOOD},Exam", "line 3 has Usage 'Exam'; expected Training, PublicTest, PrivateTest"),
        (f"0,{GOOD}", "line 3 has 2 columns; expected 3"),
        ("0," + "7 " * 80000 + ",Training", "is not CSV text"),
    ],
)
def test_bad_row_is_named_by_its_line(tmp_path: Path, row: str, expected: str) -> None:
    write_row(tmp_path / "fer2013.csv", row)
    assert_refused("fer2013", tmp_path, expected)
    assert not (tmp_path / ".mien-cache").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "no column 'emotion': found nothing"),
        ("emotion,pixels,Usage\n", "has a header but no rows"),
        ("emotion,pixel,Usage\n0,1,Training\n", "no column 'pixels': found emotion, pixel, Usage"),
    ],
)
def test_bad_header_is_one_clear_line(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "fer2013.csv").write_text(content)
    assert_refused("fer2013", tmp_path, expected)


def test_votes_next_to_the_file_become_distributions(tmp_path: Path, source: Path) -> None:
    rows = [
        "Training,a.png,4,0,0,1,3,2,0,0,0,0",
        "Training,,0,0,0,0,0,0,0,0,0,10",
        "Training,c.png,0,0,0,0,0,0,0,6,4,0",
        "PublicTest,d.png,0,5,0,0,0,0,0,5,0,0",
        "PrivateTest,e.png,0,0,5,0,0,0,0,0,0,5",
    ]
    write_votes(tmp_path / "fer2013new.csv", rows)
    faces = registry.load("fer2013", tmp_path)
    assert faces.votes is not None
    assert faces.is_face is not None
    # Row order is the pixel file's: Training, PublicTest, Training, PrivateTest, Training.
    np.testing.assert_allclose(faces.votes[0], [0.3, 0.2, 0, 0, 0.1, 0, 0.4], atol=1e-6)
    np.testing.assert_allclose(faces.votes[1], [0, 0, 0, 1, 0, 0, 0])
    np.testing.assert_allclose(faces.votes[2], np.eye(7)[3])  # only NF: its own label
    np.testing.assert_allclose(faces.votes[3], [0, 0, 0, 0, 0, 1, 0])
    np.testing.assert_allclose(faces.votes[4], np.eye(7)[5])  # only contempt and unknown: its own label
    assert faces.is_face.tolist() == [True, True, False, True, True]


def test_votes_of_a_usage_without_images_are_ignored(tmp_path: Path) -> None:
    write_row(tmp_path / "fer2013.csv", f"1,{GOOD},Training")
    happy, sad = "x.png,0,9,0,0,0,0,0,0,0,0", "x.png,0,0,0,9,0,0,0,0,0,0"
    write_votes(tmp_path / "fer2013new.csv", [f"PrivateTest,{happy}", f"Training,{sad}", f"Training,{happy}"])
    faces = registry.load("fer2013", tmp_path)
    assert faces.votes is not None
    assert faces.votes.argmax(axis=1).tolist() == [4, 3]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["Training,a.png,4,0,0,1,3,2,0,0,0,0"], "has 1 Training rows but fer2013.csv has 2"),
        (["Training,a.png,4,0,0,1,3,2,0,0,0"] * 2, "line 2 has 11 columns"),
        (["Training,a.png,x,0,0,1,3,2,0,0,0,0"] * 2, "line 2 has 'x' votes for neutral"),
        (["Exam,a.png,4,0,0,1,3,2,0,0,0,0"] * 2, "line 2 has Usage 'Exam'"),
        (["Training,a.png,4,0,0,1,3,2,0,0,0,\xff"] * 2, "is not CSV text"),
    ],
)
def test_bad_votes_are_one_clear_line(tmp_path: Path, rows: list[str], expected: str) -> None:
    write_row(tmp_path / "fer2013.csv", f"1,{GOOD},Training")
    write_votes(tmp_path / "fer2013new.csv", rows)
    assert_refused("fer2013", tmp_path, expected)
