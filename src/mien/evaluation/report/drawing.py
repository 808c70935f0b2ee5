"""The figures' one style, and their SVG: text that the page contains, the same for the same figure."""

from __future__ import annotations

import io
import re
import warnings
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mien.evaluation.report.markup import Markup, clean, element

# Becomes the page's text colour, which follows dark mode.
INK = "#1b1f24"
# Okabe and Ito's palette, which readers with colour blindness can tell apart; lines also differ by dashes, points by
# shape.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7", "#56b4e9", "#d8c400", INK)
MARKERS = ("s", "^", "o", "D", "v", "P", "<", "X")
DASHES = ("-", "--", ":", "-.")
STYLE: dict[Any, Any] = {
    **dict.fromkeys(
        ("axes.edgecolor", "axes.labelcolor", "grid.color", "text.color", "xtick.color", "ytick.color"), INK
    ),
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "grid.alpha": 0.15,
    "legend.frameon": False,
    "lines.markersize": 4,
    "svg.fonttype": "none",
    "svg.hashsalt": "mien",
    "text.parse_math": False,
}


# Parts of an SVG that the page does not need, or must not contain twice.
USELESS = r"""<metadata>.*?</metadata>|<style.*?</style>|(?<=<g) id="[^"]*"|font-family: [^;]*; |(?<=\n) +"""


def new_figure(width: float = 4.6, height: float = 3.0) -> tuple[Figure, Axes]:
    """Return a figure of a size in inches and its axes; call this and all drawing in the context of `STYLE`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def set_percent(axis: Any) -> None:
    """Let an axis run from 0 to 1, labelled in percent."""
    axis.axes.set(**{f"{axis.axis_name}lim": (0, 1)})
    axis.set_major_formatter(mpl.ticker.PercentFormatter(1))


def to_markup(figure: Figure, title: str, caption: str) -> Markup:
    """Return a figure as SVG with its title, for screen readers, and its caption."""
    buffer = io.StringIO()
    metadata = {"Title": clean(title), **dict.fromkeys(("Creator", "Date", "Format", "Type"))}
    with warnings.catch_warnings(), mpl.rc_context({"svg.hashsalt": title}):  # ids differ between figures
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # the browser has other fonts
        figure.savefig(buffer, format="svg", transparent=True, metadata=metadata)
    svg = re.sub(USELESS, "", buffer.getvalue(), flags=re.DOTALL).replace(INK, "currentColor")
    svg = svg[svg.index("<svg") :].replace("<svg", '<svg role="img"', 1)
    return element("figure", Markup(svg), element("figcaption", caption))
