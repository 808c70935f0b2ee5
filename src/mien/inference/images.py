"""What users may give as an image: a path, the content of a file, an open file, a PIL image, an array or a tensor."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.core.decoding import DEFAULT_LIMITS, EncodedImage, Limits, open_image
from mien.core.errors import ImageError
from mien.core.image import as_rgb
from mien.core.paths import AnyPath
from mien.core.pillow import pillow_pixels
from mien.core.text import first_line

EXPECTED = "a path, a file's content, an open file, a PIL image, or an array (h, w, 3)"
CHANNELS = (1, 3, 4)


@runtime_checkable
class Tensor(Protocol):
    """What NumPy can turn into an array, such as a tensor of torch, TensorFlow or JAX on the CPU."""

    def __array__(self, *arguments: Any, **options: Any) -> NDArray[Any]:
        """Return the values."""
        ...


ImageLike: TypeAlias = AnyPath | bytes | bytearray | memoryview | IO[bytes] | Image.Image | NDArray[Any] | Tensor
Kept: TypeAlias = str | bytes | NDArray[Any]
"""An image in a form that can be kept and sent to other processes: a path, a file's content, or an array."""


def read_pixels(image: ImageLike, name: str, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Return an image as upright RGB (h, w, 3), of a file with several frames or pages the first.

    Args:
        image: As in `Recognizer.recognize`.
        name: What errors call it.
        limits: The largest file and the largest image to decode.

    Raises:
        ImageError: It is not an image, cannot be read, or exceeds a limit.
    """
    return read_first(image, name, limits)[0]


def read_first(image: ImageLike, name: str, limits: Limits = DEFAULT_LIMITS) -> tuple[NDArray[np.uint8], int]:
    """Return what `read_pixels` does, and the number of frames or pages that the image's file has."""
    kept = keep(image, name, limits)
    if not isinstance(kept, str | bytes):
        return as_rgb(kept), 1
    file = open_image(Path(kept), limits, source=name) if isinstance(kept, str) else EncodedImage(kept, name, limits)
    return file.first(), len(file)


def refuse_folder(kept: Kept, name: str) -> None:
    """Raise `ImageError` for a folder, with advice for Python: commands and the server say other things."""
    if isinstance(kept, str) and os.path.isdir(kept):  # noqa: PTH112 - unlike `Path.is_dir`, it never raises
        raise ImageError(f"{name} cannot be read (it is a folder, not a file); give its images to recognize_batch.")


def keep(image: ImageLike, name: str, limits: Limits = DEFAULT_LIMITS) -> Kept:
    """Return an image in a form that can be kept; arrays and bytes are not copied. Errors as in `read_pixels`."""
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if isinstance(image, Image.Image):
        return pillow_pixels(image, name, limits.max_pixels)
    if hasattr(image, "read"):
        return _content(cast(IO[bytes], image), name, limits)
    if isinstance(image, Tensor):
        return _array(image, name)
    advice = ""
    if image is None:
        advice = "; OpenCV's imread returns None for a file that it cannot read"
    elif isinstance(image, list | tuple):
        advice = "; give several to recognize_batch"
    raise ImageError(f"Got an image of type {type(image).__name__}; expected {EXPECTED}{advice}.")


def image_name(image: ImageLike) -> str:
    """Return the name of an image: its path, as far as it is known, or "image"."""
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    known = getattr(image, "filename" if isinstance(image, Image.Image) else "name", "")
    return known if isinstance(known, str) and known else "image"


def is_one_image(given: object) -> bool:
    """Tell whether what a user gives is one image, and not several; arrays (n, h, w) are several grey ones."""
    if isinstance(given, np.ndarray):
        return given.ndim < 3 or (given.ndim == 3 and given.shape[2] in CHANNELS)
    if isinstance(given, Tensor):
        return getattr(given, "ndim", 0) < 4
    if isinstance(given, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
        return True
    return hasattr(given, "read")


def several(images: Iterable[ImageLike]) -> Iterable[ImageLike]:
    """Return what a user gives as several images; `ImageError` if it is one image, or none at all."""
    if is_one_image(images) or not isinstance(images, Iterable):
        what = "one image" if is_one_image(images) else "no images"
        raise ImageError(f"Got {what} (of type {type(images).__name__}); expected several: give a list of images.")
    return images


def _content(file: IO[bytes], name: str, limits: Limits) -> bytes:
    """Return the content of an open file from its start, at most one byte more than the limit."""
    try:
        if file.seekable():
            file.seek(0)
        content = file.read(limits.max_bytes + 1)
    except (OSError, ValueError, AttributeError) as error:  # closed, or not open for reading
        raise ImageError(f"{name} cannot be read from the open file ({first_line(error)}).") from None
    if not isinstance(content, bytes):
        raise ImageError(f"{name} is open as text; open it with open(path, 'rb').")
    return content


def _array(tensor: Tensor, name: str) -> NDArray[Any]:
    try:
        array = np.asarray(tensor)
    except Exception as error:  # torch raises a TypeError for a tensor on a GPU, a RuntimeError for one with gradients
        raise ImageError(
            f"{name} is a {type(tensor).__name__} that NumPy cannot read ({first_line(error)}); give "
            "tensor.detach().cpu().numpy()."
        ) from None
    if array.ndim == 4:
        raise ImageError(f"{name} has shape {array.shape}: several images? Give them to recognize_batch.")
    if array.ndim == 3 and array.shape[2] not in CHANNELS and array.shape[0] in CHANNELS:
        raise ImageError(
            f"{name} has shape {array.shape}, channels first; expected (h, w, 3): array.transpose(1, 2, 0)."
        )
    return array
