"""A chart of who shows which expression when, and of each person's probabilities over time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import groupby

import numpy as np

from mien.core.expressions import colours_of
from mien.core.text import count, percent
from mien.core.types import UNSURE
from mien.inference.video.drawing import OUTLINE, WHITE, Colour, Drawing, Line, Rectangle, Text
from mien.inference.video.summary import TrackHistory, VideoSummary

MAX_ROWS, MAX_PANELS = 40, 12
LEFT, WIDTH, RIGHT = 70, 900, 30
TOP, ROW, BAR = 58, 30, 22
PANEL, PANEL_GAP = 110, 52  # heights of a person's probabilities, and of the space above
AXIS = 24
LETTER = 6.2  # roughly the width of a letter at 11 pixels
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)  # seconds
GREY: Colour = (205, 205, 205)
THIN = 0.5


def draw_timeline(summary: VideoSummary, title: str) -> Drawing:
    """Return the timeline of a video, whose name is `title`; `summary` is finished.

    The rows show by colour as what each person counts (Okabe and Ito's palette for colour-blind people; the names are
    readable in greyscale), the panels below the probabilities of each person, averaged over short times. Only the 40
    and the 12 people seen longest are drawn.
    """
    people, panels = summary.longest(MAX_ROWS), summary.longest(MAX_PANELS)
    scale = WIDTH / video_seconds(summary)
    bottom = TOP + ROW * max(len(people), 1)
    height = bottom + (PANEL + PANEL_GAP) * len(panels) + AXIS + 46
    drawing = Drawing(LEFT + WIDTH + RIGHT, height)
    drawing.texts += [
        Text(LEFT, 24, f"Apparent expressions over time: {title}", size=15),
        Text(LEFT, 43, _subtitle(summary, len(people))),
    ]
    _draw_axis(drawing, summary, TOP, bottom)
    for row, track in enumerate(people):
        top = TOP + ROW * row
        drawing.texts.append(Text(LEFT - 8, top + 20, f"#{track.track}", anchor="end"))
        for bar in _bars(track, summary, top + (ROW - BAR) / 2, scale):
            drawing.shapes.append(bar)
            if bar.width > LETTER * len(bar.name) + 6:
                drawing.texts.append(Text(bar.x + bar.width / 2, bar.y + 15, bar.name, 11, "middle"))
    for number, track in enumerate(panels):
        _draw_panel(drawing, summary, track, bottom + (PANEL + PANEL_GAP) * number + PANEL_GAP)
    _draw_legend(drawing, summary, height - 18)
    return drawing


def video_seconds(summary: VideoSummary) -> float:
    """Return the time that the width of the timeline stands for."""
    return max(summary.seconds, summary.slot)


def _subtitle(summary: VideoSummary, drawn: int) -> str:
    total = summary.people.total()
    if not total:
        return "No faces detected"
    return count(total, "person", "people") + (f"; the {drawn} seen longest are drawn" if total > drawn else "")


def _bars(track: TrackHistory, summary: VideoSummary, top: float, scale: float) -> Iterator[Rectangle]:
    """Yield a bar for each run of time slots with the same main word."""
    colours = _colours(summary)
    main = np.where(track.slots.any(axis=1), track.slots.argmax(axis=1), -1)
    for word, run in groupby(range(len(main)), key=lambda slot: int(main[slot])):
        slots = list(run)
        if word < 0:
            continue
        name = summary.words[word]
        start = slots[0] * summary.slot * scale
        width = min((slots[-1] + 1) * summary.slot * scale, WIDTH) - start
        yield Rectangle(LEFT + start, top, width, BAR, colours[name], name, is_dashed=name == UNSURE)


def _draw_panel(drawing: Drawing, summary: VideoSummary, track: TrackHistory, top: float) -> None:
    """Draw a person's probabilities, from 0 at the bottom of the panel to 1 at `top`."""
    _draw_axis(drawing, summary, top, top + PANEL)
    drawing.texts.append(Text(LEFT, top - 8, f"Probabilities of #{track.track}"))
    for share in (0, 0.5, 1):
        y = top + PANEL * (1 - share)
        drawing.shapes.append(Line([(LEFT, y), (LEFT + WIDTH, y)], GREY, THIN))
        drawing.texts.append(Text(LEFT - 8, y + 4, percent(share), 11, "end"))
    scale = WIDTH / video_seconds(summary)
    chances, colours = track.mean_probabilities, _colours(summary)
    for run in seen_slots(track):
        # half a slot more at both ends, so that one slot is a line too
        places = np.array([run[0], *(run + 0.5), run[-1] + 1]) * summary.slot * scale
        xs = LEFT + np.minimum(places, WIDTH)
        for label, name in enumerate(summary.labels):
            values = chances[run, label]
            ys = top + PANEL * (1 - np.array([values[0], *values, values[-1]]))
            points = list(zip(xs.tolist(), ys.tolist(), strict=True))
            drawing.shapes += [Line(points, OUTLINE, 3), Line(points, colours[name], 2)]


def seen_slots(track: TrackHistory) -> list[np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Return the runs of time slots in which a person is seen."""
    seen = np.flatnonzero(track.slots.any(axis=1))
    return [run for run in np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1) if len(run)]


def _draw_axis(drawing: Drawing, summary: VideoSummary, top: float, bottom: float) -> None:
    seconds = video_seconds(summary)
    step = next((tick for tick in TICKS if seconds / tick <= 10), 10_000 * (seconds // 100_000 + 1))
    for number in range(int(seconds / step) + 1):
        x = LEFT + number * step / seconds * WIDTH
        drawing.shapes.append(Line([(x, top), (x, bottom)], GREY, THIN))
        drawing.texts.append(Text(x, bottom + 18, _clock(number * step, step), anchor="middle"))


def _colours(summary: VideoSummary) -> dict[str, Colour]:
    return {**colours_of(summary.labels), UNSURE: WHITE}


def _draw_legend(drawing: Drawing, summary: VideoSummary, y: float) -> None:
    x, colours = float(LEFT), _colours(summary)
    for name in summary.words:
        drawing.shapes.append(Rectangle(x, y - 11, 14, 14, colours[name], name, is_dashed=name == UNSURE))
        drawing.texts.append(Text(x + 20, y, name))
        x += 20 + 7.5 * len(name) + 22


def _clock(seconds: float, step: float) -> str:
    if step < 1:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds))).removeprefix("0:")
