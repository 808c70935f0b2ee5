"""Draw the faces of a result on its picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.core.errors import ImageError
from mien.core.expressions import Expression
from mien.core.types import Face, ImageResult

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


def draw_faces(image: NDArray[np.uint8], result: ImageResult) -> NDArray[np.uint8]:
    """Return a copy of an RGB picture (h, w, 3) with a box, a label and a percentage for every face.

    Lines and letters grow with the picture, and letters shrink with small faces, down to 10 pixels.
    """
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    for face in result.faces:
        _draw_face(pen, face, picture.size)
    return np.asarray(picture)


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


def _draw_face(pen: ImageDraw.ImageDraw, face: Face, size: tuple[int, int]) -> None:
    width, height = size
    box = face.box
    thickness = max(1, round(max(width, height) / 400))
    colour = COLOURS.get(face.label, WHITE)
    corners = (box.x, box.y, box.x + box.width, box.y + box.height)
    # A dark rim shows the box on a background of its own colour.
    rim = (corners[0] - 1, corners[1] - 1, corners[2] + 1, corners[3] + 1)
    pen.rectangle(rim, outline=BLACK, width=thickness + 2)
    pen.rectangle(corners, outline=colour, width=thickness)

    text = f"{face.label} {face.confidence:.0%}"
    largest = max(12.0, max(width, height) / 30)
    font = ImageFont.load_default(size=min(max(box.width / 6, 10.0), largest))
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    pad = max(1, thickness)
    label_width, label_height = right - left + 2 * pad, bottom - top + 2 * pad
    above = box.y - label_height
    x = min(max(box.x, 0), max(width - label_width, 0))
    y = above if above >= 0 else min(box.y + box.height, max(height - label_height, 0))
    pen.rectangle((x, y, x + label_width, y + label_height), fill=colour)
    ink = BLACK if _luma(colour) > 110 else WHITE
    pen.text((x + pad - left, y + pad - top), text, fill=ink, font=font)


def _luma(colour: tuple[int, int, int]) -> float:
    """Return ITU-R BT.601 luma, 0 to 255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
