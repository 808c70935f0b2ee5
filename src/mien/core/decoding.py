"""From bytes, files and arrays to RGB images, (h, w, 3) uint8, upright; imported through `mien.core.image`."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mien.core.errors import ImageError
from mien.core.text import first_line

# Formats whose decoders are self-contained; Pillow's EPS reader, for one, would start another program.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")
# Pillow refuses more than this on its own.
PILLOW_PIXELS = 178_956_970
EXIF_ORIENTATION = 0x0112
PIXELS_BLENDED_AT_ONCE = 2**20
# Where Pillow reads the orientation of a JPEG or PNG file.
ORIENTED = frozenset(("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"))

# How to turn an image upright, by EXIF orientation (Exif 2.32, tag 0x0112); 1 is upright.
UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@dataclass(frozen=True)
class Limits:
    """The largest image to decode: bytes of the file, and pixels (width * height); checked before decoding."""

    max_bytes: int = 64 * 2**20
    max_pixels: int = 100_000_000

    def __post_init__(self) -> None:
        if not 0 < self.max_pixels <= PILLOW_PIXELS:
            raise ImageError(f"max_pixels is {self.max_pixels}; expected 1 to {PILLOW_PIXELS}.")


DEFAULT_LIMITS = Limits()


def read_image(path: Path, limits: Limits = DEFAULT_LIMITS, *, use_grey: bool = False) -> NDArray[np.uint8]:
    """Read an image file as RGB (h, w, 3); see `decode_image`. `ImageError` says in one line what is wrong with it."""
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder; expected an image file.")
        with path.open("rb") as file:
            # a buffer of the whole limit would cost more time than a small image
            size = os.fstat(file.fileno()).st_size or limits.max_bytes
            data = file.read(min(size, limits.max_bytes) + 1)
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    return decode_image(data, str(path), limits, use_grey=use_grey)


def decode_image(
    data: bytes, source: str = "image", limits: Limits = DEFAULT_LIMITS, *, use_grey: bool = False
) -> NDArray[np.uint8]:
    """Decode an image to RGB (h, w, 3), upright.

    Grey images get three equal channels, 16-bit images are scaled to 8 bits, transparent images are blended with
    white, and an animation gives its first frame.

    Args:
        data: The bytes of a JPEG, PNG, WebP, BMP, GIF, TIFF or PPM file.
        source: The image's name in errors, usually its file name.
        limits: The largest file and the largest image to decode.
        use_grey: Return 8-bit grey images as (h, w): the same values in less time.

    Raises:
        ImageError: Empty, not an image, damaged, truncated, or beyond a limit.
    """
    if not data:
        raise ImageError(f"{source} is empty (0 bytes); expected an image file.")
    if len(data) > limits.max_bytes:
        raise ImageError(f"{source} is larger than {limits.max_bytes / 2**20:.0f} MiB; use a smaller image.")
    with PILLOW_WARNINGS.ignored():
        image = _open(data, source, limits)
        try:
            pixels = _grey(image) if use_grey and _is_grey(image) else _pixels(image)
            orientation = _orientation(image)
        except ImageError as error:
            raise ImageError(f"{source}: {error}") from None
        except (Exception, MemoryError) as error:  # damaged files make Pillow raise errors of almost any kind
            raise ImageError(f"{source} is damaged or truncated ({first_line(error)}).") from None
    return np.ascontiguousarray(UPRIGHT[orientation](pixels) if orientation in UPRIGHT else pixels)


def as_rgb(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a user's array as RGB (h, w, 3) uint8; uint8 RGB is returned unchanged.

    Args:
        array: (h, w) or (h, w, 1) grey, (h, w, 3) RGB or (h, w, 4) RGBA, which is blended with white; uint8,
            uint16 or floats in [0, 1].

    Raises:
        ImageError: Empty, another shape or type, or floats outside [0, 1].
    """
    array = np.asarray(array)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"The array has shape {array.shape}; expected (h, w), (h, w, 1), (h, w, 3) or (h, w, 4).")
    if array.size == 0:
        raise ImageError(f"The array is empty: shape {array.shape}.")
    pixels = _eight_bit(array)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.ascontiguousarray(np.broadcast_to(pixels.reshape(*pixels.shape[:2], 1), (*pixels.shape[:2], 3)))
    return _on_white(pixels) if pixels.shape[2] == 4 else np.ascontiguousarray(pixels)


class _PillowWarnings:
    """Ignores Pillow's warnings, in any thread: the first to enter sets the filter, the last to leave removes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters: warnings.catch_warnings[None]

    @contextlib.contextmanager
    def ignored(self) -> Iterator[None]:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.|mien\.core\.decoding")
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._filters.__exit__(None, None, None)


# Loops over many small images enter this once around all of them: it takes as long as opening a small file.
PILLOW_WARNINGS = _PillowWarnings()


def _open(data: bytes, source: str, limits: Limits) -> Image.Image:
    """Read the header only, and refuse what is not an image or is too large."""
    too_large = f"expected at most {limits.max_pixels / 1e6:g} million pixels; use a smaller image."
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        raise ImageError(f"{source} claims more than {PILLOW_PIXELS / 1e6:.0f} million pixels; {too_large}") from None
    except UnidentifiedImageError:
        raise ImageError(f"{source} is not an image; expected one of {', '.join(FORMATS)}.") from None
    except Exception as error:  # damaged headers make Pillow raise errors of almost any kind
        raise ImageError(f"{source} is damaged or truncated ({first_line(error)}).") from None
    if image.width * image.height > limits.max_pixels:
        raise ImageError(f"{source} claims {image.width} x {image.height} pixels; {too_large}")
    if image.width * image.height == 0:
        raise ImageError(f"{source} has no pixels ({image.width} x {image.height}).")
    return image


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Decode to RGB (h, w, 3), not yet upright."""
    if image.mode.startswith("I") or image.mode == "F":
        deep = np.asarray(image)
        # older Pillows open a 16-bit grey PNG as 32-bit integers
        if image.mode == "I" and deep.min() >= 0 and deep.max() <= 65535:
            deep = deep.astype(np.uint16)
        return as_rgb(deep)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return as_rgb(np.asarray(image if image.mode == mode else image.convert(mode)))


def _is_grey(image: Image.Image) -> bool:
    return image.mode == "L" and not image.has_transparency_data


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    """Decode 8-bit grey to (h, w); the same as `np.asarray`, which is slower to recognise its input."""
    return np.frombuffer(image.tobytes(), dtype=np.uint8).reshape(image.height, image.width)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 if there is none or it cannot be read; call it after the pixels were read."""
    if image.format in ("JPEG", "PNG") and ORIENTED.isdisjoint(image.info):
        return 1  # Pillow's search would take a tenth of the time of a small face
    try:
        return int(image.getexif().get(EXIF_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block does not affect the pixels
        return 1


def _eight_bit(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise ImageError(f"The pixels are of type {array.dtype}; expected uint8, uint16 or floats in [0, 1].")
    if not (array.min() >= 0 and array.max() <= 1):  # NaN fails both
        raise ImageError("The pixels are floats outside [0, 1] or not numbers; divide by their largest value first.")
    rounded: NDArray[np.uint8] = np.rint(array * 255).astype(np.uint8)
    return rounded


def _on_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    blended = np.empty((*pixels.shape[:2], 3), np.uint8)
    rows = max(1, PIXELS_BLENDED_AT_ONCE // max(1, pixels.shape[1]))  # a whole image in 16 bits would need gigabytes
    for start in range(0, len(pixels), rows):
        strip = pixels[start : start + rows].astype(np.uint16)
        colour, alpha = strip[:, :, :3], strip[:, :, 3:]
        blended[start : start + rows] = (colour * alpha + 255 * (255 - alpha) + 127) // 255
    return blended
