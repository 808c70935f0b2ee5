"""Draw the faces of a result on its picture."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.core.errors import ImageError
from mien.core.expressions import Expression
from mien.core.types import Box, Face, FrameResult, ImageResult, TrackedFace

# Okabe and Ito's eight colours, which colour-blind people can tell apart; neutral is their black, made grey.
COLOURS: dict[str, tuple[int, int, int]] = {
    Expression.ANGRY: (213, 94, 0),
    Expression.DISGUST: (0, 158, 115),
    Expression.FEAR: (204, 121, 167),
    Expression.HAPPY: (240, 228, 66),
    Expression.SAD: (0, 114, 178),
    Expression.SURPRISE: (230, 159, 0),
    Expression.NEUTRAL: (190, 190, 190),
    Expression.CONTEMPT: (86, 180, 233),
}
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def draw_faces(image: NDArray[np.uint8], result: ImageResult | FrameResult) -> NDArray[np.uint8]:
    """Return a copy of an RGB picture (h, w, 3) with a box, a label and a percentage for every face.

    Lines and letters grow with the picture, and letters shrink with small faces, down to 10 pixels. Faces of a video
    have the number of their track before the label, and hidden ones a box without label.
    """
    picture = image.copy()
    for face in result.faces:
        _draw_face(picture, face)
    return picture


def save_drawing(image: NDArray[np.uint8], result: ImageResult, folder: Path) -> Path:
    """Draw a result and write it to `folder`, which is made if needed.

    The file is called like the source, .png for a .png and .jpg for all else. A file that exists is never
    overwritten, be it a source, another picture or an earlier drawing: the new name gets a number.

    Returns:
        The file written.

    Raises:
        ImageError: The folder cannot be made or written.
    """
    source = Path(result.source)
    suffix = ".png" if source.suffix.lower() == ".png" else ".jpg"
    drawing = Image.fromarray(draw_faces(image, result))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = folder / (f"{source.stem}{suffix}" if number == 1 else f"{source.stem}-{number}{suffix}")
            try:
                with path.open("xb") as file:
                    drawing.save(file, format="PNG" if suffix == ".png" else "JPEG", quality=92)
                return path
            except FileExistsError:
                number += 1
    except OSError as error:
        raise ImageError(f"{folder}: a drawing cannot be saved there ({error.strerror or error}).") from None


def _draw_face(picture: NDArray[np.uint8], face: Face) -> None:
    height, width = picture.shape[:2]
    thickness = max(1, round(max(width, height) / 400))
    colour = COLOURS.get(face.label, WHITE)
    # A dark rim shows the box on a background of its own colour.
    _draw_frame(picture, face.box, 1, BLACK, thickness + 2)
    _draw_frame(picture, face.box, 0, colour, thickness)
    if isinstance(face, TrackedFace) and not face.is_seen:
        return
    track = f"#{face.track} " if isinstance(face, TrackedFace) else ""
    largest = max(12.0, max(width, height) / 30)
    size = min(max(face.box.width / 6, 10.0), largest)
    label = _label(f"{track}{face.label} {face.confidence:.0%}", round(size, 1), colour, max(1, thickness))
    above = face.box.y - label.shape[0]
    x = min(max(face.box.x, 0), max(width - label.shape[1], 0))
    below = min(max(face.box.y + face.box.height, 0), max(height - label.shape[0], 0))
    y = above if above >= 0 else below
    part = picture[round(y) : round(y) + label.shape[0], round(x) : round(x) + label.shape[1]]
    part[:] = label[: part.shape[0], : part.shape[1]]


def _draw_frame(
    picture: NDArray[np.uint8], box: Box, margin: int, colour: tuple[int, int, int], thickness: int
) -> None:
    """Draw the rim of a box, grown by `margin` pixels, inwards."""
    x, y, width, height = (round(side) for side in (box.x, box.y, box.width, box.height))
    left, top = x - margin, y - margin
    right, bottom = x + width + 1 + margin, y + height + 1 + margin
    for x0, y0, x1, y1 in (
        (left, top, right, top + thickness),
        (left, bottom - thickness, right, bottom),
        (left, top, left + thickness, bottom),
        (right - thickness, top, right, bottom),
    ):
        picture[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = colour


# Pillow takes 5 ms to take in a frame of 720p and give it back: it only draws the letters.
@lru_cache(maxsize=256)
def _label(text: str, size: float, colour: tuple[int, int, int], pad: int) -> NDArray[np.uint8]:
    """Return a small RGB picture of a text on its colour."""
    font = ImageFont.load_default(size=size)
    left, top, right, bottom = font.getbbox(text)
    picture = Image.new("RGB", (ceil(right - left) + 2 * pad, ceil(bottom - top) + 2 * pad), colour)
    ink = BLACK if _luma(colour) > 110 else WHITE
    ImageDraw.Draw(picture).text((pad - left, pad - top), text, fill=ink, font=font)
    return np.asarray(picture)


def _luma(colour: tuple[int, int, int]) -> float:
    """Return ITU-R BT.601 luma, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
