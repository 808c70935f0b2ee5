"""The pixels of images that Pillow has opened."""

from __future__ import annotations

import contextlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mien.core.errors import ImageError
from mien.core.image import as_rgb
from mien.core.text import first_line


def pillow_pixels(image: Image.Image, source: str, max_pixels: int) -> NDArray[np.uint8]:
    """Return an image as RGB (h, w, 3), upright; `image` is not changed.

    Raises:
        ImageError: More than `max_pixels`, damaged, truncated or closed; `source` is its name there.
    """
    if image.width * image.height > max_pixels:
        raise ImageError(f"{source} has more than {max_pixels / 1e6:g} million pixels; use a smaller image.")
    try:
        image.load()
        with contextlib.suppress(Exception):  # a damaged EXIF block does not affect the pixels
            image = ImageOps.exif_transpose(image)
        return to_rgb(image)
    except Exception as error:  # the file is read only now, and damaged ones make Pillow raise errors of any kind
        raise ImageError(f"{source} is damaged, truncated or closed ({first_line(error)}).") from None


def upright(image: Image.Image) -> Image.Image:
    """Turn an image as its metadata say, in place."""
    with contextlib.suppress(Exception):  # a damaged EXIF block does not affect the pixels
        ImageOps.exif_transpose(image, in_place=True)
    return image


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Return an image's pixels as RGB (h, w, 3); transparent ones are blended with white."""
    if image.mode.startswith("I") or image.mode == "F":
        deep = np.asarray(image)
        # older Pillows open a 16-bit grey PNG as 32-bit integers
        if image.mode == "I" and deep.min() >= 0 and deep.max() <= 65535:
            deep = deep.astype(np.uint16)
        return as_rgb(deep)
    if image.has_transparency_data:
        return as_rgb(np.asarray(image.convert("RGBA")))
    return as_rgb(np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB")))
