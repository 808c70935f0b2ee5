"""A drawing of rectangles, lines and text that can be written as SVG and as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mien.inference.fonts import font_for

Colour = tuple[int, int, int]
Point = tuple[float, float]
DARK: Colour = (17, 17, 17)
OUTLINE: Colour = (34, 34, 34)
WHITE: Colour = (255, 255, 255)
DASH, GAP = 4, 2
SCALE = 2  # pixels of the PNG per unit
SHIFT = 4  # binary digits of OpenCV's coordinates behind the point
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}  # Pillow's: on the base line


@dataclass(frozen=True)
class Rectangle:
    """A filled rectangle with a thin outline, and a name that SVG shows as a tooltip."""

    x: float
    y: float
    width: float
    height: float
    fill: Colour
    name: str = ""
    is_dashed: bool = False

    def to_svg(self) -> str:
        """Return the element."""
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" width="{self.width:.1f}" height="{self.height:g}"'
        dashes = f'stroke-dasharray="{DASH} {GAP}" ' if self.is_dashed else ""
        stroke = f'{dashes}stroke="{_hex(OUTLINE)}" stroke-width="0.5"'
        title = f"<title>{escape_text(self.name)}</title>" if self.name else ""
        return f'<rect {place} fill="{_hex(self.fill)}" {stroke}>{title}</rect>'

    def paint(self, canvas: NDArray[np.uint8]) -> None:
        """Draw it on an image with `SCALE` pixels per unit."""
        edges = (self.x, self.y, self.x + self.width, self.y + self.height)
        left, top, right, bottom = (round(edge * SCALE) for edge in edges)
        cv2.rectangle(canvas, (left, top), (right, bottom), self.fill, cv2.FILLED)
        period = (DASH + GAP) * SCALE
        across, down = (np.arange(right - left + 1), np.arange(bottom - top + 1))
        if self.is_dashed:
            across, down = (places[places % period < DASH * SCALE] for places in (across, down))
        for y in (top, bottom):
            canvas[y, left + across] = OUTLINE
        for x in (left, right):
            canvas[top + down, x] = OUTLINE


@dataclass(frozen=True)
class Line:
    """A line through two points or more."""

    points: Sequence[Point]
    colour: Colour
    width: float = 1.0

    def to_svg(self) -> str:
        """Return the element."""
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)
        style = f'stroke="{_hex(self.colour)}" stroke-width="{self.width:g}" stroke-linejoin="round"'
        return f'<polyline points="{points}" fill="none" {style}/>'

    def paint(self, canvas: NDArray[np.uint8]) -> None:
        """Draw it on an image with `SCALE` pixels per unit."""
        points = np.rint(np.array(self.points) * (SCALE << SHIFT)).astype(np.int32)
        cv2.polylines(canvas, [points], False, self.colour, round(self.width * SCALE), cv2.LINE_AA, SHIFT)


@dataclass(frozen=True)
class Text:
    """Text with a white outline, readable on any colour; `y` is its base line."""

    x: float
    y: float
    text: str
    size: int = 12
    anchor: Literal["start", "middle", "end"] = "start"

    def to_svg(self) -> str:
        """Return the element."""
        outline = 'stroke="#fff" stroke-width="3" paint-order="stroke" stroke-opacity="0.75"'
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" font-size="{self.size}" text-anchor="{self.anchor}"'
        return f'<text {place} fill="{_hex(DARK)}" {outline}>{escape_text(self.text)}</text>'

    def paint(self, canvas: ImageDraw.ImageDraw) -> None:
        """Draw it on an image with `SCALE` pixels per unit."""
        font = font_for(self.text, self.size * SCALE)
        place, anchor = (self.x * SCALE, self.y * SCALE), ANCHORS[self.anchor]
        canvas.text(place, self.text, DARK, font, anchor, stroke_width=SCALE, stroke_fill=WHITE)


@dataclass
class Drawing:
    """Shapes on a white page; texts are above all others."""

    width: float
    height: float
    shapes: list[Rectangle | Line] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)

    def to_svg(self) -> str:
        """Return the drawing as an SVG document."""
        size = f'width="{self.width:g}" height="{self.height:g}" viewBox="0 0 {self.width:g} {self.height:g}"'
        start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
        page = f'<rect width="100%" height="100%" fill="{_hex(WHITE)}"/>'
        parts = (part.to_svg() for part in (*self.shapes, *self.texts))
        return "\n".join([start, page, *parts, "</svg>", ""])

    def to_png(self) -> bytes:
        """Return the drawing as a PNG file with `SCALE` pixels per unit."""
        shape = (round(self.height * SCALE), round(self.width * SCALE), 3)
        canvas: NDArray[np.uint8] = np.full(shape, 255, dtype=np.uint8)
        for part in self.shapes:
            part.paint(canvas)
        image = Image.fromarray(canvas)
        pen = ImageDraw.Draw(image)
        for text in self.texts:
            text.paint(pen)
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()


def escape_text(text: str) -> str:
    """Return text escaped for SVG and HTML, with question marks for control characters."""
    return escape("".join(letter if letter.isprintable() else "?" for letter in text), {'"': "&quot;"})


def _hex(colour: Colour) -> str:
    return f"#{bytes(colour).hex()}"
