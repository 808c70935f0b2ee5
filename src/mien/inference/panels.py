"""Faces beside the probabilities of their expressions, as bars: in HTML for notebooks, and as an image."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mien.core.card import CropSpec
from mien.core.expressions import colours_of
from mien.core.image import crop_face, resize_face, roll_to_undo
from mien.core.text import count, percent
from mien.core.types import Face
from mien.inference.fonts import font_for

MOST = 24  # faces shown
SIDE = 112  # of a face, in pixels
GREY, INK = (140, 140, 140), (20, 20, 20)
# of a panel in an image, in pixels
PANEL, ROW, GAP, TEXT = 330, 16, 12, 12
FEWEST_COLUMNS = 3


def show_panels(name: str, pixels: NDArray[np.uint8] | None, faces: Sequence[Face]) -> str:
    """Return HTML: each face with a bar for every probability.

    Args:
        name: The title.
        pixels: The image, RGB (h, w, 3); None: only the bars are shown.
        faces: Their boxes are in pixels of the image.
    """
    title = f"{name}: {count(len(faces), 'face') if faces else 'no faces detected'}{_note(faces)}"
    panels = "".join(_panel(number, face, pixels) for number, face in enumerate(faces[:MOST], start=1))
    return (
        f'<div style="font:13px/1.35 sans-serif"><div style="margin:0 0 8px">{escape(title)}</div>'
        f'<div style="display:flex;flex-wrap:wrap;gap:16px">{panels}</div></div>'
    )


def plot_panels(drawing: NDArray[np.uint8], pixels: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    """Return a drawing with, below it, each face and a bar for every probability, RGB (h, w, 3)."""
    columns = min(max(drawing.shape[1] // PANEL, FEWEST_COLUMNS), max(len(faces), 1))
    cells = [_draw_panel(number, face, pixels) for number, face in enumerate(faces[:MOST], start=1)]
    height = max((cell.height for cell in cells), default=0)
    width = max(drawing.shape[1], columns * PANEL if cells else 0)
    note = _note(faces)
    sheet = Image.new(
        "RGB", (width, drawing.shape[0] + ceil(len(cells) / columns) * height + 2 * ROW * bool(note)), "white"
    )
    sheet.paste(Image.fromarray(drawing), ((width - drawing.shape[1]) // 2, 0))
    for i, cell in enumerate(cells):
        sheet.paste(cell, (i % columns * PANEL, drawing.shape[0] + i // columns * height))
    if note:
        ImageDraw.Draw(sheet).text((GAP, sheet.height - 1.5 * ROW), note.strip(" ()"), INK, font_for(note, TEXT))
    return np.asarray(sheet)


def _note(faces: Sequence[Face]) -> str:
    return f" (the first {MOST} are shown)" if len(faces) > MOST else ""


def _portrait(face: Face, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the face as its expression was scored, upright and square, but in colour."""
    crop = crop_face(pixels, face.box, CropSpec(), roll_to_undo(face.roll))
    return resize_face(crop, SIDE, 3)


def _heading(number: int, face: Face) -> str:
    return f"{number}: {face.wording} {percent(face.confidence)}"


def _panel(number: int, face: Face, pixels: NDArray[np.uint8] | None) -> str:
    tag = ""
    if pixels is not None:
        file = io.BytesIO()
        Image.fromarray(_portrait(face, pixels)).save(file, "JPEG", quality=85)
        data = base64.b64encode(file.getvalue()).decode()
        look = f"width:{SIDE}px;height:{SIDE}px;border-radius:4px"
        tag = f'<img alt="face {number}" style="{look}" src="data:image/jpeg;base64,{data}">'
    colours = colours_of(list(face.probabilities))
    rows = "".join(
        f'<tr style="background:none"><td style="padding:0 6px 0 0;text-align:left">{escape(label)}</td>'
        f'<td style="padding:0;width:90px"><div style="height:9px;box-sizing:border-box;border:1px solid #888;'
        f'width:{max(100 * share, 1):.1f}%;background:#{bytes(colours[label]).hex()}"></div></td>'
        f'<td style="padding:0 0 0 6px;text-align:right">{percent(share)}</td></tr>'
        for label, share in face.probabilities.items()
    )
    return (
        f'<figure style="margin:0"><figcaption style="font-weight:bold">{escape(_heading(number, face))}</figcaption>'
        f'<div style="display:flex;gap:8px;align-items:center">{tag}'
        f'<table style="border-collapse:collapse;font-size:11px;margin:0">{rows}</table></div></figure>'
    )


def _draw_panel(number: int, face: Face, pixels: NDArray[np.uint8]) -> Image.Image:
    bars, colours = len(face.probabilities), colours_of(list(face.probabilities))
    panel = Image.new("RGB", (PANEL, max(SIDE, bars * ROW) + ROW + 2 * GAP), "white")
    heading = _heading(number, face)
    draw, font = ImageDraw.Draw(panel), font_for(heading, TEXT)
    draw.text((GAP, GAP / 2), heading, INK, font)
    panel.paste(Image.fromarray(_portrait(face, pixels)), (GAP, GAP + ROW))
    start = 2 * GAP + SIDE
    fonts = {label: font_for(label, TEXT) for label in face.probabilities}
    bar = start + max(round(font.getlength(label)) for label, font in fonts.items()) + GAP
    for i, (label, share) in enumerate(face.probabilities.items()):
        y = GAP + (i + 1) * ROW
        draw.text((start, y), label, INK, fonts[label])
        length = (PANEL - bar - 4 * GAP) * share
        draw.rectangle((bar, y + 3, bar + length, y + ROW - 3), colours[label], GREY)
        draw.text((bar + length + GAP / 2, y), percent(share), INK, font_for("", TEXT))
    return panel
