"""A font with the letters of a text: labels of one's own may be in any script, Pillow's own font has ASCII only."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from PIL import ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

# Looked for where the system keeps its fonts, those with Latin, Greek and Cyrillic letters first.
FILES = (
    "DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "segoeui.ttf", "Arial.ttf", "arial.ttf",
    "Arial Unicode.ttf", "NotoSansCJK-Regular.ttc", "NotoSansCJKjp-Regular.otf", "wqy-microhei.ttc",
    "DroidSansFallbackFull.ttf", "NotoSansArabic-Regular.ttf", "NotoSansDevanagari-Regular.ttf",
    "NotoSansThai-Regular.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "YuGothM.ttc",
    "msyh.ttc", "malgun.ttf", "Nirmala.ttf",
)  # fmt: skip
# No font has this character: its shape is that of every missing letter.
MISSING = "\U0010ffff"


def font_for(text: str, size: float) -> Font:
    """Return the first font of this machine with all letters of a text, else the one with the most of them.

    Args:
        text: What will be drawn. ASCII is drawn in Pillow's own font, the same on every machine.
        size: In pixels.
    """
    return _default(size) if text.isascii() else _find(frozenset(text), size)


@lru_cache(maxsize=64)
def _default(size: float) -> Font:
    return ImageFont.load_default(size=size)


@lru_cache(maxsize=256)
def _find(letters: frozenset[str], size: float) -> Font:
    best: tuple[int, Font] = (-1, _default(size))
    for font in _fonts(size):
        missing = bytes(font.getmask(MISSING))
        n = sum(letter.isspace() or bytes(font.getmask(letter)) != missing for letter in letters)
        best = max(best, (n, font), key=lambda pair: pair[0])
        if n == len(letters):
            break
    return best[1]


@lru_cache(maxsize=16)
def _fonts(size: float) -> list[ImageFont.FreeTypeFont]:
    """Return the fonts that the machine has, or that comes with matplotlib."""
    matplotlib = find_spec("matplotlib")
    own = Path(matplotlib.origin or "").parent / "mpl-data" / "fonts" / "ttf" / FILES[0] if matplotlib else None
    found = []
    for file in (*FILES, *([str(own)] if own else [])):
        try:
            found.append(ImageFont.truetype(file, size))
        except OSError:
            continue
    return found
