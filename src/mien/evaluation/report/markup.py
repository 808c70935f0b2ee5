"""HTML and SVG as text that is escaped unless it was built here: a hostile name can become text, never an element."""

from __future__ import annotations

import html
from collections.abc import Collection, Iterable, Mapping, Sequence

VOID = {"meta", "link", "img", "br"}
NOTHING: Mapping[str, object] = {}


class Markup(str):
    """Text that is markup already and must not be escaped again."""

    __slots__ = ()


def escape(text: str) -> Markup:
    """Return text as markup; what is markup already comes back as it is."""
    if isinstance(text, Markup):
        return text
    # control characters are not allowed in HTML, and a lone surrogate cannot be written as UTF-8
    shown = "".join("\N{REPLACEMENT CHARACTER}" if _is_refused(char) else char for char in text)
    return Markup(html.escape(shown, quote=True))


def element(name: str, attributes: Mapping[str, object] = NOTHING, *children: str) -> Markup:
    """Return one element; children that are no markup, and all attribute values, are escaped.

    Args:
        name: The element's name, from the code and never from data.
        attributes: By name, from the code; a float is written with two decimals.
        children: What stands inside; void elements have none.
    """
    words = "".join(f' {key}="{escape(_attribute(value))}"' for key, value in attributes.items())
    if name in VOID:
        return Markup(f"<{name}{words}>")
    return Markup(f"<{name}{words}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Put parts after each other; those that are no markup are escaped."""
    return Markup("".join(escape(part) for part in parts))


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], figures: Collection[int]) -> Markup:
    """Return a table in a container of its own that scrolls sideways, so that the page never does.

    Args:
        caption: What the table shows.
        headings: One a column.
        rows: The cells; the first of each row is its heading.
        figures: Which columns, from 0, hold figures and are set to the right; the others hold words.
    """
    kinds = ({"scope": "col", **({"class": "figure"} if i in figures else {})} for i in range(len(headings)))
    head = element("tr", NOTHING, *(element("th", kind, text) for kind, text in zip(kinds, headings, strict=True)))
    body = [_row(cells, figures) for cells in rows]
    content = (element("thead", NOTHING, head), element("tbody", NOTHING, *body))
    return scrolling(caption, element("table", NOTHING, *content))


def scrolling(caption: str, content: Markup) -> Markup:
    """Put a table into a container that scrolls sideways; the caption above it stays and wraps.

    The container takes the keyboard's focus, so that it can be scrolled without a mouse.
    """
    attributes = {"class": "scroll", "role": "region", "aria-label": str(caption), "tabindex": "0"}
    head = element("figcaption", NOTHING, caption)
    return element("figure", {"class": "table"}, head, element("div", attributes, content))


def _row(cells: Sequence[str], figures: Collection[int]) -> Markup:
    first = element("th", {"scope": "row"}, cells[0])
    rest = (
        element("td", {"class": "figure"} if i in figures else NOTHING, cell) for i, cell in enumerate(cells[1:], 1)
    )
    return element("tr", NOTHING, first, *rest)


def _attribute(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _is_refused(char: str) -> bool:
    code = ord(char)
    return (code < 0x20 and char not in "\t\n\r") or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000
