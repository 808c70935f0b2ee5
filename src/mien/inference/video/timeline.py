"""A chart of who shows which expression when, as SVG: one row per person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby
from xml.sax.saxutils import escape

import numpy as np

from mien.core.expressions import COLOURS
from mien.core.text import count
from mien.core.types import UNSURE
from mien.inference.draw import WHITE
from mien.inference.video.summary import TrackHistory, VideoSummary

MAX_ROWS = 40
LEFT, WIDTH, RIGHT = 70, 900, 30
TOP, ROW, BAR = 58, 30, 22
LETTER = 6.2  # roughly the width of a letter at 11 pixels
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # seconds


def draw_timeline(summary: VideoSummary, title: str) -> str:
    """Return the timeline of a video, whose name is `title`, as SVG; `summary` is finished.

    Bars have the colours of their expressions (Okabe and Ito's palette for colour-blind people) and, where there is
    room, their names, which are readable in greyscale. Only the 40 people seen longest are drawn.
    """
    people = summary.longest(MAX_ROWS)
    seconds = max(summary.seconds, summary.slot)
    bottom = TOP + ROW * max(len(people), 1)
    width, height = LEFT + WIDTH + RIGHT, bottom + 70
    total = summary.people.total()
    subtitle = count(total, "person", "people") if total else "No faces detected"
    if total > len(people):
        subtitle += f"; the {len(people)} seen longest are drawn"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        _text(LEFT, 24, f"Apparent expressions over time: {title}", size=15),
        _text(LEFT, 43, subtitle),
        *_axis(seconds, bottom),
    ]
    for row, track in enumerate(people):
        top = TOP + ROW * row
        parts.append(_text(LEFT - 8, top + 20, f"#{track.track}", anchor="end"))
        parts += _bars(track, summary, top + (ROW - BAR) / 2, WIDTH / seconds)
    parts += _legend(summary.words, bottom + 52)
    return "\n".join([*parts, "</svg>", ""])


def _bars(track: TrackHistory, summary: VideoSummary, top: float, scale: float) -> Iterator[str]:
    """Yield a bar for each run of time slots with the same main word."""
    main = np.where(track.slots.any(axis=1), track.slots.argmax(axis=1), -1)
    for word, run in groupby(range(len(main)), key=lambda slot: int(main[slot])):
        slots = list(run)
        if word < 0:
            continue
        name = summary.words[word]
        start = slots[0] * summary.slot * scale
        width = min((slots[-1] + 1) * summary.slot * scale, WIDTH) - start
        yield _rectangle(LEFT + start, top, width, BAR, name)
        if width > LETTER * len(name) + 6:
            yield _text(LEFT + start + width / 2, top + 15, name, size=11, anchor="middle")


def _axis(seconds: float, bottom: float) -> Iterator[str]:
    step = next((tick for tick in TICKS if seconds / tick <= 10), 10_000 * (seconds // 100_000 + 1))
    for number in range(int(seconds / step) + 1):
        x = LEFT + number * step / seconds * WIDTH
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>'
        yield _text(x, bottom + 18, _clock(number * step, step), anchor="middle")


def _legend(words: tuple[str, ...], y: float) -> Iterator[str]:
    x = float(LEFT)
    for name in words:
        yield _rectangle(x, y - 11, 14, 14, name)
        yield _text(x + 20, y, name)
        x += 20 + 7.5 * len(name) + 22


def _rectangle(x: float, y: float, width: float, height: float, name: str) -> str:
    """Return a rectangle in the colour of an expression, white and dashed for "unsure", with its name as tooltip."""
    dashes = 'stroke-dasharray="4 2" ' if name == UNSURE else ""
    colour = bytes(COLOURS.get(name, WHITE)).hex()
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" fill="#{colour}" '
        f'{dashes}stroke="#222" stroke-width="0.5"><title>{_escape(name)}</title></rect>'
    )


def _text(x: float, y: float, text: str, size: int = 12, anchor: str = "start") -> str:
    """Return text with a white outline, readable on any colour."""
    outline = 'stroke="#fff" stroke-width="3" paint-order="stroke" stroke-opacity="0.75"'
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text {place} fill="#111" {outline}>{_escape(text)}</text>'


def _escape(text: str) -> str:
    """Return text escaped for XML, with question marks for control characters."""
    return escape("".join(letter if letter.isprintable() else "?" for letter in text))


def _clock(seconds: float, step: float) -> str:
    return f"{seconds:.1f} s" if step < 1 else str(timedelta(seconds=round(seconds)))
