"""What the tools get: faces, images with pasted faces, a folder, a video, and files that are not what they seem."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from lab.benchmarks.drawn_clip import RATE, choose_faces, move_faces, write_clip
from lab.benchmarks.scenes import enlarge, paste, paste_each, photographs
from lab.peers.labels import EXPRESSIONS
from mien.core.errors import DataError
from mien.data import registry
from mien.data.duplicates import duplicate_mask
from mien.inference.detectors.haar import Haar
from mien.inference.detectors.registry import AUTO, create_detector
from mien.inference.video.sources import open_video

SPLIT = "validation"  # FER2013's PublicTest
SIZE = (1280, 720)
SIDE = 240  # of the faces in the video
HUGE = (12_000, 9_000)
PORTRAIT = "astronaut.png"


@dataclass(frozen=True)
class Crops:
    """PublicTest: images (n, 48, 48), numbers of their expressions (n,), and which are also in Training (n,)."""

    images: NDArray[np.uint8]
    truth: NDArray[np.int64]
    duplicates: NDArray[np.bool_]


def read_crops(data: Path) -> Crops:
    """Read FER2013's PublicTest.

    Raises:
        DataError: The data cannot be read, or have other labels.
    """
    dataset = registry.load("fer2013", data)
    if tuple(dataset.label_set.names) != EXPRESSIONS:
        raise DataError(f"Labels of {data}: {dataset.label_set.names}; expected {EXPRESSIONS}.")
    rows = dataset.splits == SPLIT
    return Crops(np.asarray(dataset.images)[rows], dataset.labels[rows], duplicate_mask(dataset)[rows])


def write_crops(folder: Path, crops: Crops) -> Path:
    """Write the faces as bytes, one after the other."""
    path = folder / "crops.raw"
    path.write_bytes(crops.images.tobytes())
    return path


def write_scenes(folder: Path, crops: Crops, count: int) -> tuple[list[Path], NDArray[np.intp]]:
    """Paste faces drawn at random into photographs, one an image; return the files and the rows of their faces."""
    rows = np.sort(np.random.default_rng(0).choice(len(crops.images), count, replace=False))
    folder.mkdir(exist_ok=True)
    paths = []
    for number, image in enumerate(paste_each(crops.images[rows])):
        paths.append(folder / f"{number:04d}.png")
        Image.fromarray(image).save(paths[-1])
    return paths, rows


def write_folder(folder: Path, crops: Crops, count: int) -> tuple[list[Path], int]:
    """Write JPEG files of up to 640 pixels with one to three pasted faces; return them and the number of faces."""
    rng, backgrounds = np.random.default_rng(1), photographs()
    folder.mkdir(exist_ok=True)
    paths, faces = [], 0
    for number in range(count):
        chosen = crops.images[rng.choice(len(crops.images), int(rng.integers(1, 4)), replace=False)]
        scene = paste(backgrounds[number % len(backgrounds)], chosen, rng)
        paths.append(folder / f"{number:04d}.jpg")
        Image.fromarray(scene.image).save(paths[-1], quality=90)
        faces += len(scene.frames)
    return paths, faces


def write_video(folder: Path, crops: Crops, frames: int) -> tuple[Path, Path]:
    """Write a 720p clip in which three faces move over a photograph: as a file, and as decoded RGB bytes."""
    background = np.asarray(cv2.resize(photographs()[0], SIZE, interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
    clip, raw = folder / "clip.mp4", folder / "clip.raw"
    detectors = [create_detector(AUTO), create_detector(Haar.name)]
    faces = choose_faces((enlarge(face, SIDE) for face in crops.images), detectors)
    write_clip(clip, move_faces(faces, background, frames))
    with raw.open("wb") as file:
        for frame in open_video(clip).frames():
            file.write(np.ascontiguousarray(frame.pixels).tobytes())
    return clip, raw


def write_portrait(folder: Path) -> Path:
    """Write a portrait in the public domain."""
    path = folder / PORTRAIT
    Image.fromarray(skimage.data.astronaut()).save(path)
    return path


def write_wrong_inputs(folder: Path) -> dict[str, Path]:
    """Write files that are not what they seem, or not what a tool may expect, by name."""
    folder.mkdir(exist_ok=True)
    portrait = Image.fromarray(skimage.data.astronaut())
    files = {
        "not an image": folder / "text.jpg",
        "empty file": folder / "empty.jpg",
        "truncated file": folder / "truncated.jpg",
        "no face": folder / "no_face.jpg",
        "grey image": folder / "grey.png",
        "RGBA image": folder / "rgba.png",
        "16-bit grey image": folder / "grey16.png",
        "108 megapixels": folder / "huge.png",
    }
    files["not an image"].write_text("This is text.\n" * 20, encoding="utf-8")
    files["empty file"].write_bytes(b"")
    whole = folder / "whole.jpg"
    portrait.save(whole, quality=90)
    files["truncated file"].write_bytes(whole.read_bytes()[:3000])
    Image.fromarray(photographs()[0]).save(files["no face"])
    portrait.convert("L").save(files["grey image"])
    portrait.convert("RGBA").save(files["RGBA image"])
    deep = np.asarray(portrait.convert("L"), dtype=np.uint16) * 257
    cv2.imwrite(str(files["16-bit grey image"]), deep)
    Image.new("RGB", HUGE, (90, 120, 150)).save(files["108 megapixels"])
    return files


SECONDS_OF_VIDEO = 4
FRAMES = RATE * SECONDS_OF_VIDEO
