"""Decode image files: the only implementation, with limits that are checked before anything is decoded.

Decoders are self-contained, and chosen by a file's first bytes. Metadata decide about nothing but the orientation:
where they are damaged or too large, the image is read without them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mien.core import gif, image_metadata, tiff
from mien.core.errors import ImageError, MissingExtraError
from mien.core.paths import AnyPath
from mien.core.pillow import to_rgb, upright
from mien.core.regular_file import open_file
from mien.core.signatures import HEIC, image_format, other_content
from mien.core.text import first_line
from mien.core.tiff import PIXELS_MISSING

# A format that can be read -> Pillow's module for it. Pillow's EPS reader, for one, would start another program.
PLUGINS = {
    "JPEG": "JpegImagePlugin",
    "PNG": "PngImagePlugin",
    "WEBP": "WebPImagePlugin",
    "AVIF": "AvifImagePlugin",
    "BMP": "BmpImagePlugin",
    "GIF": "GifImagePlugin",
    "TIFF": "TiffImagePlugin",
    "JPEG2000": "Jpeg2KImagePlugin",
    "PPM": "PpmImagePlugin",
}
EXPECTED_FORMATS = "JPEG, PNG, WebP, AVIF, BMP, GIF, TIFF, JPEG 2000 or PNM"
# What an animation contains. Further images in files of other formats are previews or depth maps.
ANIMATED = {"PNG": b"acTL", "WEBP": b"ANMF", "AVIF": b"avis"}
HEIC_SUFFIXES = (".heic", ".heif", ".hif")
HEIC_MODULE = "pi_heif"
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".bmp", ".dib", ".gif"),
    *(".tif", ".tiff", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    *(HEIC_SUFFIXES if find_spec(HEIC_MODULE) else ()),
)
# Pillow itself refuses larger images.
PILLOW_PIXELS = 178_956_970
# Put at the end of a JPEG without an end marker, where libjpeg assumes zeros: if it changes pixels, some are missing.
FILLER = bytes(range(254, 0, -1)) * 4


@dataclass(frozen=True)
class Limits:
    """The largest image to decode: bytes of the file, and pixels (width * height); checked before decoding."""

    max_bytes: int = 64 * 2**20
    max_pixels: int = 100_000_000

    def __post_init__(self) -> None:
        if not 0 < self.max_pixels <= PILLOW_PIXELS:
            raise ImageError(f"max_pixels is {self.max_pixels}; expected 1 to {PILLOW_PIXELS}.")


DEFAULT_LIMITS = Limits()


class EncodedImage:
    """The content of an image file: one frame, or those of an animation or a document, decoded one by one."""

    def __init__(self, data: bytes, source: str = "image", limits: Limits = DEFAULT_LIMITS) -> None:
        """Take the content of a file; `source` is its name in errors, usually its file name.

        Raises:
            ImageError: Empty, not an image, of a variant that cannot be read, or larger than the limit.
        """
        if not data:
            raise ImageError(f"{source} is empty (0 bytes); expected an image file.")
        if len(data) > limits.max_bytes:
            raise ImageError(f"{source} is larger than {limits.max_bytes / 2**20:.0f} MiB; use a smaller image.")
        self.format = image_format(data)
        self._data, self._source, self._limits = data, source, limits
        if not self.format:
            kind = other_content(data)
            advice = "; `mien.stream` reads videos" if kind.startswith("a video") else ""
            raise ImageError(f"{source} is {kind or 'not an image'}; expected {EXPECTED_FORMATS}{advice}.")
        self._pages: list[tiff.Page] = []
        if self.format == "TIFF":
            with self._errors():
                self._pages = tiff.read_pages(data)
        elif self.format == "JPEG":
            self._data = image_metadata.without_padding(data)

    def __len__(self) -> int:
        """Return the number of frames or pages; 1 if that cannot be read."""
        if self._pages:
            return len(self._pages)
        if self.format == "GIF":
            return gif.count_frames(self._data)
        if self.format in ANIMATED and ANIMATED[self.format] in self._data:
            with contextlib.suppress(Exception):  # reading the frames says what is wrong
                return int(getattr(self._open(self._data), "n_frames", 1))
        return 1

    def first(self) -> NDArray[np.uint8]:
        """Return the first frame as RGB (h, w, 3); see `decode_image`."""
        with self._errors():
            if self._pages:
                return self._decode(self._pages[0].encode())
            try:
                return self._decode(self._data)
            except (ImageError, Image.DecompressionBombError):
                raise
            except Exception:
                if self.format not in ("JPEG", "PNG"):
                    raise
            return self._decode_repaired()

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Yield all frames as `first` does."""
        if len(self) == 1:
            yield self.first()
            return
        with self._errors():
            for page in self._pages:
                yield self._decode(page.encode())
            if self._pages:
                return
            image = self._open(self._data)
            for index in range(len(self)):
                image.seek(index)
                yield to_rgb(upright(image.copy()))

    def _decode_repaired(self) -> NDArray[np.uint8]:
        """Return the pixels of an image that cannot be read with its metadata, or without an end marker."""
        if self.format == "PNG":
            return self._decode(image_metadata.without_png_metadata(self._data))
        body = image_metadata.without_jpeg_metadata(self._data).removesuffix(image_metadata.JPEG_END)
        pixels, other = (self._decode(body + end + image_metadata.JPEG_END) for end in (b"", FILLER))
        if not np.array_equal(pixels, other):
            raise ValueError(PIXELS_MISSING)
        return pixels

    def _decode(self, data: bytes) -> NDArray[np.uint8]:
        image = self._open(data)
        image.load()
        return to_rgb(upright(image))

    def _open(self, data: bytes) -> Image.Image:
        """Read the header of a file, and check the number of its pixels."""
        file = io.BytesIO(data)
        heic = _import_heic().open_heif(file) if self.format == HEIC else None
        image = _open_with_pillow(file, self.format) if heic is None else heic[heic.primary_index]
        width, height = image.size
        if width * height > self._limits.max_pixels:
            raise Image.DecompressionBombError
        opened: Image.Image = image if heic is None else image.to_pillow()
        return opened

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn whatever a decoder raises into an `ImageError` that names the source."""
        source = self._source
        try:
            yield
        except ImageError as error:
            raise ImageError(f"{source}: {error}") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise ImageError(
                f"{source} claims more than {self._limits.max_pixels / 1e6:g} million pixels; use a smaller image."
            ) from None
        except UnidentifiedImageError:
            raise ImageError(f"{source} is damaged, or a variant of {self.format} that cannot be read.") from None
        except Exception as error:  # damaged files make Pillow raise errors of almost any kind
            reason = first_line(error)
            if "nsupported" in reason:
                raise ImageError(f"{source} is a variant of {self.format} that cannot be read ({reason}).") from None
            raise ImageError(f"{source} is damaged or truncated ({reason}).") from None


def read_image(path: AnyPath, limits: Limits = DEFAULT_LIMITS, *, source: str | None = None) -> NDArray[np.uint8]:
    """Read an image file as RGB (h, w, 3); `source` is its name in errors, by default its path. See `decode_image`."""
    return open_image(path, limits, source=source).first()


def open_image(path: AnyPath, limits: Limits = DEFAULT_LIMITS, *, source: str | None = None) -> EncodedImage:
    """Read the content of an image file; pipes and devices are never opened. `ImageError` as in `EncodedImage`."""
    name = os.fspath(path) if source is None else source
    try:
        with open_file(Path(path)) as file:
            # allocating a buffer as large as the limit would take longer than decoding a small image
            size = os.fstat(file.fileno()).st_size or limits.max_bytes
            data = file.read(min(size, limits.max_bytes) + 1)
    except OSError as error:
        raise ImageError(f"{name} cannot be read ({error.strerror or error}).") from None
    return EncodedImage(data, name, limits)


def decode_image(data: bytes, source: str = "image", limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Decode an image to RGB (h, w, 3), upright.

    Grey images get three equal channels, 16-bit images are scaled to 8 bits, transparent images are blended with white
    unless nothing in them is visible, and an animation or a document gives its first frame or page.

    Args:
        data: The bytes of a file in one of `EXPECTED_FORMATS`; HEIC requires the extra `heic`.
        source: The image's name in errors, usually its file name.
        limits: The largest file and the largest image to decode.

    Raises:
        ImageError: Empty, not an image, damaged, truncated, of a variant that cannot be read, or beyond a limit.
    """
    return EncodedImage(data, source, limits).first()


def _open_with_pillow(file: io.BytesIO, format: str) -> Any:
    try:
        importlib.import_module(f"PIL.{PLUGINS[format]}")  # `Image.open` would import all of them, for any format
    except ModuleNotFoundError:
        raise ImageError(f"{format} images need a newer Pillow: pip install --upgrade pillow") from None
    return Image.open(file, formats=(format,))


def _import_heic() -> Any:
    try:
        return importlib.import_module(HEIC_MODULE)
    except ModuleNotFoundError:
        raise ImageError(f"{MissingExtraError('Reading HEIC images', 'heic')}; or save it as JPEG.") from None
