"""A picture of who shows which expression when: one lane a person, as SVG."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from xml.sax.saxutils import escape

import numpy as np

from mien.inference.draw import COLOURS, WHITE
from mien.inference.video.summary import TrackCourse, VideoSummary

LANES = 40
LEFT, WIDTH, RIGHT = 70, 900, 30
TOP, LANE, BAR = 58, 30, 22
LETTER = 6.2  # roughly the width of a letter at 11 pixels
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


def draw_timeline(summary: VideoSummary, title: str) -> str:
    """Return an SVG picture of a video's course.

    Every bar has its expression's colour (Okabe and Ito's, which colour-blind people can tell apart) and, where there
    is room, its name, so that it can be read in grey too. Of more than 40 people, the 40 seen longest are drawn.

    Args:
        summary: The video, finished.
        title: What stands above, as the video's name.
    """
    courses = summary.longest(LANES)
    seconds = max(summary.seconds, summary.slot)
    bottom = TOP + LANE * max(len(courses), 1)
    height = bottom + 70
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + RIGHT}" height="{height}" '
        f'viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="100%" height="100%" fill="{_hex(WHITE)}"/>',
        _text(LEFT, 24, f"Apparent expressions over time: {title}", size=15),
        _text(LEFT, 43, _below_title(summary, len(courses))),
        *_axis(seconds, bottom),
    ]
    for number, course in enumerate(courses):
        top = TOP + LANE * number
        parts.append(_text(LEFT - 8, top + 20, f"#{course.track}", anchor="end"))
        parts += _bars(course, summary, top + (LANE - BAR) / 2, WIDTH / seconds)
    parts += _legend(summary.labels, bottom + 52)
    return "\n".join([*parts, "</svg>", ""])


def _below_title(summary: VideoSummary, drawn: int) -> str:
    people = summary.people.total()
    if not people:
        return "no face was seen"
    told = f"{people} {'person' if people == 1 else 'people'}"
    return told if drawn >= people else f"{told}; the {drawn} seen longest are drawn"


def _bars(course: TrackCourse, summary: VideoSummary, top: float, scale: float) -> Iterator[str]:
    """Yield a bar for each run of time slots that mostly show one expression."""
    main = np.where(course.slots.any(axis=1), course.slots.argmax(axis=1), -1)
    for label, run in groupby(range(len(main)), key=lambda slot: int(main[slot])):
        slots = list(run)
        if label < 0:
            continue
        name = summary.labels[label]
        start = slots[0] * summary.slot * scale
        width = min((slots[-1] + 1) * summary.slot * scale, WIDTH) - start
        colour = _hex(COLOURS.get(name, WHITE))
        yield (
            f'<rect x="{LEFT + start:.1f}" y="{top:.1f}" width="{width:.1f}" height="{BAR}" fill="{colour}" '
            f'stroke="#222" stroke-width="0.5"><title>{_clean(name)}</title></rect>'
        )
        if width > LETTER * len(name) + 6:
            yield _text(LEFT + start + width / 2, top + 15, name, size=11, anchor="middle")


def _axis(seconds: float, bottom: float) -> Iterator[str]:
    step = next((tick for tick in TICKS if seconds / tick <= 10), 10_000 * (seconds // 100_000 + 1))
    for number in range(int(seconds / step) + 1):
        x = LEFT + number * step / seconds * WIDTH
        yield f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#ddd"/>'
        yield _text(x, bottom + 18, _clock(number * step, step), anchor="middle")


def _legend(labels: tuple[str, ...], y: float) -> Iterator[str]:
    x = float(LEFT)
    for name in labels:
        fill = _hex(COLOURS.get(name, WHITE))
        yield f'<rect x="{x:.1f}" y="{y - 11}" width="14" height="14" fill="{fill}" stroke="#222" stroke-width="0.5"/>'
        yield _text(x + 20, y, name)
        x += 20 + 7.5 * len(name) + 22


def _text(x: float, y: float, text: str, size: int = 12, anchor: str = "start") -> str:
    """Return a text with a white rim, so that it can be read on any colour."""
    rim = 'stroke="#fff" stroke-width="3" paint-order="stroke" stroke-opacity="0.75"'
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"'
    return f'<text {place} fill="#111" {rim}>{_clean(text)}</text>'


def _clean(text: str) -> str:
    """Return text that may stand in XML: marks are escaped, control characters become question marks."""
    return escape("".join(letter if letter.isprintable() else "?" for letter in text))


def _clock(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
