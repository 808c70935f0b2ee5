"""Draw the faces of a result on its image."""

from __future__ import annotations

from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.core.errors import ImageError
from mien.core.expressions import colours_of
from mien.core.types import Box, Face, FrameResult, ImageResult, TrackedFace

BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def draw_faces(image: NDArray[np.uint8], result: ImageResult | FrameResult) -> NDArray[np.uint8]:
    """Return a copy of an RGB image (h, w, 3) with a box, a label and a percentage for every face.

    The box of an unsure face is white and dashed. Lines and text scale with the image. Text also scales with the face,
    but has at least 10 pixels. In videos, the tracker id precedes the label, and hidden faces have a box without label.
    """
    drawn = image.copy()
    colours = colours_of(result.labels)
    for face in result.faces:
        _draw_face(drawn, face, colours.get(face.counts_as, WHITE))
    return drawn


def save_drawing(image: NDArray[np.uint8], result: ImageResult, folder: Path) -> Path:
    """Draw a result and save it to `folder`, which is created if needed.

    The file has the name of the source, with the suffix .png for a .png and .jpg otherwise. Existing files are never
    overwritten: a number is added to the name.

    Returns:
        The path of the file.

    Raises:
        ImageError: The file cannot be written.
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


def _draw_face(image: NDArray[np.uint8], face: Face, colour: tuple[int, int, int]) -> None:
    height, width = image.shape[:2]
    thickness = max(1, round(max(width, height) / 400))
    # The dark outline shows the box on a background of its own colour.
    _draw_box(image, face.box, 1, BLACK, thickness + 2)
    _draw_box(image, face.box, 0, colour, thickness, dash=6 * thickness if face.is_unsure else 0)
    if isinstance(face, TrackedFace) and not face.is_seen:
        return
    track = f"#{face.track} " if isinstance(face, TrackedFace) else ""
    largest = max(12.0, max(width, height) / 30)
    size = min(max(face.box.width / 6, 10.0), largest)
    label = _label(f"{track}{face.wording} {100 * face.confidence:.0f} %", round(size, 1), colour, thickness)
    above = face.box.y - label.shape[0]
    x = min(max(face.box.x, 0), max(width - label.shape[1], 0))
    below = min(max(face.box.y + face.box.height, 0), max(height - label.shape[0], 0))
    y = above if above >= 0 else below
    part = image[round(y) : round(y) + label.shape[0], round(x) : round(x) + label.shape[1]]
    part[:] = label[: part.shape[0], : part.shape[1]]


def _draw_box(  # noqa: PLR0913, PLR0917 - what a line needs
    image: NDArray[np.uint8], box: Box, margin: int, colour: tuple[int, int, int], thickness: int, dash: int = 0
) -> None:
    """Draw the outline of a box, expanded by `margin` pixels; its thickness extends inwards; 0: no dashes."""
    x, y, width, height = box.rounded()
    left, top = x - margin, y - margin
    right, bottom = x + width + 1 + margin, y + height + 1 + margin
    for x0, y0, x1, y1 in (
        (left, top, right, top + thickness),
        (left, bottom - thickness, right, bottom),
        (left, top, left + thickness, bottom),
        (right - thickness, top, right, bottom),
    ):
        part = image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
        part[(rows + columns) % (2 * dash) < dash if dash else ...] = colour


# Only the text is drawn by Pillow: converting a whole 720p frame to Pillow and back takes 5 ms.
@lru_cache(maxsize=256)
def _label(text: str, size: float, colour: tuple[int, int, int], pad: int) -> NDArray[np.uint8]:
    """Return a small RGB image of a text on its colour."""
    font = ImageFont.load_default(size=size)
    left, top, right, bottom = font.getbbox(text)
    label = Image.new("RGB", (ceil(right - left) + 2 * pad, ceil(bottom - top) + 2 * pad), colour)
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]  # ITU-R BT.601, 0 to 255
    ImageDraw.Draw(label).text((pad - left, pad - top), text, fill=BLACK if luma > 110 else WHITE, font=font)
    return np.asarray(label)
