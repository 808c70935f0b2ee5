"""Draw faces on their image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import ceil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mien.core.errors import ImageError
from mien.core.expressions import colours_of
from mien.core.types import Box, Face, TrackedFace
from mien.inference.fonts import font_for
from mien.inference.label_places import place_labels

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
SMALL = 256  # pixels; stills whose long side is shorter are enlarged, so that their labels can be read


def draw_faces(image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """Return a copy of an RGB image (h, w, 3) with a box, a label and a percentage for every face.

    The box of an unsure face is white and dashed. Lines and text scale with the image. Text also scales with the face,
    but has at least 10 pixels. A label is beside its box, where it covers no face if there is room. In videos, the
    tracker id precedes the label, and hidden faces have a box without label.
    """
    drawn = image.copy()
    thickness = _thickness(image)
    for face in faces:
        dash = 6 * thickness if face.is_unsure else 0
        # the dark outline shows the box on a background of its own colour
        _draw_box(drawn, face.box, 1, BLACK, thickness + 2)
        _draw_box(drawn, face.box, 0, _colour(face), thickness, dash)
    labelled = [face for face in faces if not isinstance(face, TrackedFace) or face.is_seen]
    labels = [_label_of(face, image.shape) for face in labelled]
    places = place_labels([face.box for face in labelled], [label.shape for label in labels], image.shape)
    for label, (x, y) in zip(labels, places, strict=True):
        part = drawn[y : y + label.shape[0], x : x + label.shape[1]]
        part[:] = label[: part.shape[0], : part.shape[1]]
    return drawn


def draw_still(image: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """Return what `draw_faces` does, but larger where labels would hide the image.

    An image of less than 256 pixels is enlarged by a whole factor; a single face without room for its label beside it
    gets a white margin below.

    Args:
        image: RGB (h, w, 3).
        faces: Their boxes are in pixels of `image`.
    """
    factor = ceil(SMALL / max(image.shape[:2]))
    if factor > 1:
        image = np.ascontiguousarray(image.repeat(factor, axis=0).repeat(factor, axis=1))
        faces = [replace(face, box=face.box.scaled(factor)) for face in faces]
    if len(faces) == 1:
        needed, box = _label_of(faces[0], image.shape).shape[0], faces[0].box.within(*image.shape[1::-1])
        if box.y < needed and image.shape[0] - box.y - box.height < needed:
            faces = [replace(faces[0], box=box)]
            image = np.pad(image, ((0, needed + _thickness(image)), (0, 0), (0, 0)), constant_values=255)
    return draw_faces(image, faces)


def save_drawing(image: NDArray[np.uint8], faces: Sequence[Face], source: str, folder: Path) -> Path:
    """Draw faces and save the drawing to `folder`, which is created if needed.

    The file has the name of the source, with the suffix .png for a .png and .jpg otherwise. Existing files are never
    overwritten: a number is added to the name.

    Returns:
        The path of the file.

    Raises:
        ImageError: The file cannot be written.
    """
    name = Path(source)
    suffix = ".png" if name.suffix.lower() == ".png" else ".jpg"
    drawing = Image.fromarray(draw_still(image, faces))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            path = folder / (f"{name.stem}{suffix}" if number == 1 else f"{name.stem}-{number}{suffix}")
            try:
                with path.open("xb") as file:
                    drawing.save(file, format="PNG" if suffix == ".png" else "JPEG", quality=92)
                return path
            except FileExistsError:
                number += 1
    except OSError as error:
        raise ImageError(f"{folder}: a drawing cannot be saved there ({error.strerror or error}).") from None


def _thickness(image: NDArray[np.uint8]) -> int:
    longest: int = max(image.shape[:2])
    return max(1, round(longest / 400))


def _colour(face: Face) -> tuple[int, int, int]:
    return colours_of(list(face.probabilities)).get(face.counts_as, WHITE)


def _label_of(face: Face, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the label of a face in an image of a shape (h, w, 3), as an image."""
    longest = max(shape[:2])
    track = f"#{face.track} " if isinstance(face, TrackedFace) else ""
    size = min(max(face.box.width / 6, 10.0), max(12.0, longest / 30))
    text = f"{track}{face.wording} {100 * face.confidence:.0f} %"
    return _label(text, round(size, 1), _colour(face), max(1, round(longest / 400)))


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
    font = font_for(text, size)
    left, top, right, bottom = font.getbbox(text)
    label = Image.new("RGB", (ceil(right - left) + 2 * pad, ceil(bottom - top) + 2 * pad), colour)
    luma = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]  # ITU-R BT.601, 0 to 255
    ImageDraw.Draw(label).text((pad - left, pad - top), text, fill=BLACK if luma > 110 else WHITE, font=font)
    return np.asarray(label)
