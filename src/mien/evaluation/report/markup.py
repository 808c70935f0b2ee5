"""HTML as text that is escaped unless it was built here, so that a name never becomes an element."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable, Sequence

VOID = {"meta", "link", "img", "br"}
# Control characters are not allowed in HTML, and a lone surrogate cannot be written as UTF-8.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Markup(str):
    """Text that is markup already and must not be escaped again."""

    __slots__ = ()


NOTHING = Markup("")


def clean(text: str) -> str:
    """Replace characters that a page may not contain."""
    return FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)


def escape(text: str) -> Markup:
    """Return text as markup; markup stays as it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(clean(text)))


def element(name: str, *children: str, **attributes: object) -> Markup:
    """Return one element; children that are not markup, and all attribute values, are escaped.

    Names come from the code and never from data: `class_` is class, `aria_label` aria-label.
    """
    words = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{words}>" if name in VOID else f"<{name}{words}>{join(children)}</{name}>")


def join(parts: Iterable[str]) -> Markup:
    """Concatenate parts; those that are not markup are escaped."""
    return Markup("".join(map(escape, parts)))


def table(caption: str, headings: Sequence[str], rows: Iterable[Sequence[str]], numeric: Collection[int]) -> Markup:
    """Return a table in a container that scrolls sideways, so that the page never does; the caption above it wraps.

    The container takes the keyboard's focus, so that it can be scrolled without a mouse.

    The first cell of each row is its heading. `numeric` are the columns, from 0, that are aligned right.
    """
    head = element("tr", *(_cell("th", text, i in numeric, scope="col") for i, text in enumerate(headings)))
    body = []
    for first, *rest in rows:
        cells = (_cell("td", text, i in numeric) for i, text in enumerate(rest, 1))
        body.append(element("tr", element("th", first, scope="row"), *cells))
    content = element("table", element("thead", head), element("tbody", *body))
    box = element("div", content, class_="scroll", role="region", aria_label=caption, tabindex="0")
    return element("figure", element("figcaption", caption), box, class_="table")


def _cell(name: str, text: str, is_number: bool, **attributes: object) -> Markup:
    return element(name, text, **attributes, **({"class_": "number"} if is_number else {}))
