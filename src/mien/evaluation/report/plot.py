"""Charts as inline SVG: axes, lines, points and bars, coloured by the page's style so that they follow dark mode.

The SVG is written here, because the report must work with the base installation, which has no matplotlib. It scales,
prints and follows the reader's colours, and a report of many runs takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from mien.evaluation.report.markup import Markup, element

Points = Sequence[tuple[float, float]]
# Markers differ in shape as well as in colour; each is a path around (0, 0), about 6 pixels wide.
SHAPES = (
    "m-2.5-2.5h5v5h-5z",
    "m0-3.4l3.2 5.6h-6.4z",
    "m-2.8 0a2.8 2.8 0 1 0 5.6 0a2.8 2.8 0 1 0-5.6 0z",
    "m0-3.6l3.6 3.6l-3.6 3.6l-3.6-3.6z",
    "m0 3.4l3.2-5.6h-6.4z",
    "m-1-3h2v2h2v2h-2v2h-2v-2h-2v-2h2z",
    "m-3.2-1.6h6.4v3.2h-6.4z",
    "m-3-1.8l1.2-1.2l1.8 1.8l1.8-1.8l1.2 1.2l-1.8 1.8l1.8 1.8l-1.2 1.2l-1.8-1.8l-1.8 1.8l-1.2-1.2l1.8-1.8z",
)
RING = "m-4.6 0a4.6 4.6 0 1 0 9.2 0a4.6 4.6 0 1 0-9.2 0z"
DASH = "m-6-1h12v2h-12z"
COLOURS = 8
# Margins around the drawing area, in pixels; the right one leaves room for half of the last tick's number.
RIGHT, TOP, BOTTOM = 22, 10, 44


@dataclass(frozen=True)
class Axis:
    """One axis: its range, its label, and its ticks with their texts."""

    low: float
    high: float
    label: str
    ticks: tuple[tuple[float, str], ...]

    @classmethod
    def over(cls, values: Sequence[float], label: str, unit: str = "") -> Axis:
        """Return an axis that covers all values, with ticks at round numbers."""
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        step = _round_step((high - low) / 5)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        numbers = [round(i * step, 10) for i in range(first, last + 1)]
        return cls(first * step, last * step, label, tuple((n, f"{n:g}{unit}") for n in numbers))

    @classmethod
    def share(cls, label: str) -> Axis:
        """Return an axis from 0 to 100 % for shares in [0, 1]."""
        return cls(0.0, 1.0, label, tuple((i / 5, f"{20 * i} %") for i in range(6)))


@dataclass
class Plot:
    """A chart that is filled step by step and then turned into one figure.

    Colours are numbers from 0 to 7, see style.css; they also choose the shape of markers.

    Attributes:
        x, y: The axes.
        title: What the chart shows, also for screen readers.
        width, height: Size of the drawing in pixels; the page scales it.
        left: Left margin in pixels.
        parts, legend: The elements so far.
    """

    x: Axis
    y: Axis
    title: str
    width: int = 460
    height: int = 300
    left: int = 58
    parts: list[Markup] = field(default_factory=list)
    legend: list[Markup] = field(default_factory=list)

    def position(self, x: float, y: float) -> tuple[float, float]:
        """Return the position of a value in the drawing, in pixels from the top left."""
        across = (x - self.x.low) / (self.x.high - self.x.low)
        up = (y - self.y.low) / (self.y.high - self.y.low)
        bottom = self.height - BOTTOM
        return self.left + across * (self.width - RIGHT - self.left), bottom - up * (bottom - TOP)

    def line(self, points: Points, colour: int, style: str = "line") -> None:
        """Draw a line through points, in the order given."""
        if points:
            places = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.position(*point) for point in points))
            self.parts.append(element("polyline", class_=f"{style} s{colour % COLOURS}", points=places))

    def marks(self, points: Points, colour: int, shape: str = "", style: str = "mark") -> None:
        """Draw a marker at each point, in the colour's shape unless another is given."""
        path = shape or SHAPES[colour % len(SHAPES)]
        places = (self.position(*point) for point in points)
        if drawing := "".join(f"M{x:.1f} {y:.1f}{path}" for x, y in places):
            self.parts.append(element("path", class_=f"{style} s{colour % COLOURS}", d=drawing))

    def bar(self, span: tuple[float, float], height: float, colour: int) -> None:
        """Draw a bar from the axis up to a height, between two values of x."""
        (x0, y0), (x1, y1) = self.position(span[0], height), self.position(span[1], max(self.y.low, 0.0))
        width, drop = max(x1 - x0, 0.0), max(y1 - y0, 0.0)
        self.parts.append(element("rect", class_=f"bar s{colour % COLOURS}", x=x0, y=y0, width=width, height=drop))

    def text(self, point: tuple[float, float], words: str, anchor: str = "middle", shift: float = 0.0) -> None:
        """Write words at a value, `shift` pixels below it."""
        x, y = self.position(*point)
        self.parts.append(element("text", words, x=x, y=y + shift, text_anchor=anchor))

    def name(self, words: str, colour: int, shape: str = "") -> None:
        """Add an entry to the legend."""
        drawing = f"M7 7{shape or SHAPES[colour % len(SHAPES)]}"
        path = element("path", class_=f"mark s{colour % COLOURS}", d=drawing)
        swatch = element("svg", path, viewBox="0 0 14 14", width=14, height=14, aria_hidden="true")
        self.legend.append(element("li", swatch, " ", words))

    def draw(self, caption: str) -> Markup:
        """Return the chart as a figure with its legend and caption."""
        content = (element("title", self.title), *self._frame(), *self.parts)
        box = f"0 0 {self.width} {self.height}"
        drawing = element("svg", *content, viewBox=box, role="img", aria_label=self.title)
        names = [element("ul", *self.legend, class_="legend")] if self.legend else []
        return element("figure", drawing, *names, element("figcaption", caption))

    def _frame(self) -> list[Markup]:
        """Draw grid lines, the texts of ticks, and the labels of both axes."""
        parts = []
        for value, words in self.x.ticks:
            (x, bottom), (_, top) = self.position(value, self.y.low), self.position(value, self.y.high)
            parts.append(element("line", class_="grid", x1=x, x2=x, y1=top, y2=bottom))
            parts.append(element("text", words, x=x, y=bottom + 15, text_anchor="middle"))
        for value, words in self.y.ticks:
            (left, y), (right, _) = self.position(self.x.low, value), self.position(self.x.high, value)
            parts.append(element("line", class_="grid", x1=left, x2=right, y1=y, y2=y))
            parts.append(element("text", words, x=left - 6, y=y + 4, text_anchor="end"))
        middle = (self.left + self.width - RIGHT) / 2
        parts.append(element("text", self.x.label, x=middle, y=self.height - 8, text_anchor="middle"))
        half = (self.height - 34) / 2
        turn = "rotate(-90)"
        parts.append(element("text", self.y.label, x=-half, y=13, transform=turn, text_anchor="middle"))
        return parts


def _round_step(rough: float) -> float:
    """Return the smallest of 1, 2, 5 times a power of ten that is at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
