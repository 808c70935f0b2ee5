"""Face crops in image files: read into memory at once, or each when it is needed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias, cast, overload

import numpy as np
from numpy.typing import NDArray

from mien.core.decoding import read_image
from mien.core.errors import DataError, ImageError
from mien.core.image import crop_face, resize_face
from mien.core.types import Box
from mien.data.options import LoadOptions

# Decoding releases the interpreter lock; with more threads than these the disk is the limit.
THREADS = 8
WHOLE_IMAGE = (math.nan,) * 4

Rows: TypeAlias = slice | NDArray[np.integer[Any]] | NDArray[np.bool_]


def read_images(
    paths: Sequence[Path], options: LoadOptions, boxes: Sequence[Box | None] | None = None
) -> NDArray[np.uint8]:
    """Return cropped and resized images: what an adapter of files passes to `FaceDataset` as its `images`.

    Args:
        paths: n files, one face each.
        options: Size, channels and crop; with `use_lazy_images` nothing is read yet.
        boxes: n face boxes in pixels, None where the whole image is the face. Default: it always is.

    Returns:
        (n, size, size) or (n, size, size, 3), uint8: an array, or a `LazyImages` that behaves like one.

    Raises:
        DataError: A file cannot be read (the message names it), or memory does not suffice. Lazy images raise it when
            they are read.
    """
    corners = [dataclasses.astuple(box) if box else WHOLE_IMAGE for box in boxes or [None] * len(paths)]
    images = LazyImages(
        np.array([str(path) for path in paths], dtype=np.str_), np.array(corners, dtype=np.float64), options
    )
    return cast("NDArray[np.uint8]", images) if options.use_lazy_images else np.asarray(images)


class LazyImages:
    """Images in files that look like one numpy array, for data sets larger than memory.

    A row number decodes one file. Slices, arrays of row numbers and masks select files without reading them;
    `np.asarray` reads them all. Nothing is cached.

    Args:
        paths: (n,) files, one face each; one block of text, which worker processes share.
        boxes: (n, 4) x, y, width and height of the faces in pixels, NaN for whole images.
        options: Size, channels and crop.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, paths: NDArray[np.str_], boxes: NDArray[np.float64], options: LoadOptions) -> None:
        self.paths, self.boxes, self.options = paths, boxes, options

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, size, size), or (n, size, size, 3) for RGB."""
        size = self.options.image_size
        return (len(self), size, size) if self.options.channels == 1 else (len(self), size, size, 3)

    @overload
    def __getitem__(self, rows: int | np.integer[Any]) -> NDArray[np.uint8]: ...

    @overload
    def __getitem__(self, rows: Rows) -> LazyImages: ...

    def __getitem__(self, rows: int | np.integer[Any] | Rows) -> NDArray[np.uint8] | LazyImages:
        if isinstance(rows, int | np.integer):
            return self._read(int(rows))
        return LazyImages(self.paths[rows], self.boxes[rows], self.options)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        return (self._read(row) for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.uint8]:
        try:
            images = np.empty(self.shape, dtype=np.uint8)
        except MemoryError:
            raise DataError(
                f"Images of the shape {' x '.join(map(str, self.shape))} need "
                f"{math.prod(self.shape) / 2**30:.1f} GiB, more than the available memory; train with --set "
                "training.workers=4, which reads them from their files, or use a smaller image size."
            ) from None
        with ThreadPoolExecutor(THREADS) as pool:
            for row, image in enumerate(pool.map(self._read, range(len(self)))):
                images[row] = image
        return images if dtype is None else images.astype(dtype, copy=False)

    def _read(self, row: int) -> NDArray[np.uint8]:
        path = Path(str(self.paths[row]))
        try:
            image = read_image(path)
            if not np.isnan(self.boxes[row]).any():
                image = crop_face(image, Box(*self.boxes[row].tolist()), self.options.crop)
            return resize_face(image, self.options.image_size, self.options.channels)
        except ImageError as error:
            where = "" if str(path) in str(error) else f"{path}: "
            raise DataError(f"{where}{error}") from None
