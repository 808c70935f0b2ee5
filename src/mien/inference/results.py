"""The results for an image and for a frame of a video: values to compute with, to save, and to look at."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.core.errors import ImageError, MienError
from mien.core.paths import AnyPath
from mien.core.serialization import table_columns, table_rows
from mien.core.text import printable
from mien.core.types import UNSURE, Face, TrackedFace, round_shares
from mien.core.whole_file import write_whole
from mien.inference.draw import draw_still
from mien.inference.images import Kept, read_pixels
from mien.inference.panels import plot_panels, show_panels

# The types of a data frame's columns that are not float64; those that may be missing have types that keep that.
TYPES = dict.fromkeys(("image_width", "image_height", "frame", "face"), "int64")
TYPES |= {"source": "string", "label": "string", "unsure": "boolean", "seen": "boolean", "track": "Int64"}
DRAWINGS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


class Result(ABC):
    """What an image and a frame of a video have in common."""

    width: int
    height: int
    faces: Sequence[Face]
    labels: tuple[str, ...]

    def __iter__(self) -> Iterator[Face]:
        """Yield the faces."""
        return iter(self.faces)

    @property
    @abstractmethod
    def name(self) -> str:
        """What to call it: the image's source, or the frame's time."""

    @abstractmethod
    def to_json(self) -> dict[str, object]:
        """Return the result as JSON values."""

    @abstractmethod
    def read_image(self) -> NDArray[np.uint8]:
        """Return the upright image, RGB (h, w, 3); `ImageError` if it is not known or cannot be read any more."""

    @property
    def shares(self) -> dict[str, float]:
        """The share of visible faces that count as each label, and as "unsure": sums to 1, or all 0 without any."""
        words = [face.counts_as for face in self.faces if getattr(face, "is_seen", True)]
        return {name: words.count(name) / max(len(words), 1) for name in (*self.labels, UNSURE)}

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one dict per face, with the names of CSV's columns; one with `face` 0 if there is no face."""
        is_video = isinstance(self, FrameResult)
        kind = {"is_video": is_video, "has_frames": not is_video and "frame" in self.to_json()}
        columns = table_columns(self.labels, **kind)
        content = {"source": "", **self.to_json()}
        rows = [dict(zip(columns, row, strict=True)) for row in table_rows(content, self.labels, **kind)]
        for row in rows:
            row.update({name: bool(row[name]) for name in ("unsure", "seen") if row.get(name) is not None})
            if is_video:
                del row["source"]  # a frame does not know its video
        return rows

    def to_dataframe(self) -> Any:
        """Return `to_rows` as a `pandas.DataFrame`; join several with `pandas.concat`.

        Raises:
            MienError: pandas is not installed; mien does not need it otherwise.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MienError(
                "to_dataframe() requires pandas: pip install pandas; to_rows() gives the same rows as dicts."
            ) from None
        frame = pd.DataFrame(self.to_rows())
        return frame.astype({name: TYPES.get(name, "float64") for name in frame.columns})

    def save(self, path: AnyPath) -> Path:
        """Write the result to a file, in place of one that exists.

        Args:
            path: The ending says what is written: .png, .jpg or .webp the image with boxes and labels, .json what
                `to_json` returns, .csv what `to_rows` returns. The folder exists.

        Returns:
            The path.

        Raises:
            ImageError: The name has another ending, the file cannot be written, or `read_image` cannot be read.
        """
        file = Path(path)
        kind = file.suffix.lower()
        if kind in DRAWINGS:
            buffer = io.BytesIO()
            Image.fromarray(draw_still(self.read_image(), self.faces)).save(buffer, DRAWINGS[kind], quality=92)
            content: bytes | str = buffer.getvalue()
        elif kind == ".json":
            content = json.dumps(self.to_json(), indent=1) + "\n"
        elif kind == ".csv":
            content = _csv(self.to_rows())
        else:
            raise ImageError(f"{file} ends in none of {', '.join(DRAWINGS)}, .json and .csv; name it so.")
        try:
            write_whole(file, content)
        except (OSError, ValueError) as error:
            raise ImageError(f"{file} cannot be written ({getattr(error, 'strerror', None) or error}).") from None
        return file

    def plot(self) -> Image.Image:
        """Return the image with boxes and labels, and below it each face with a bar for every probability.

        A notebook shows what is returned; `plot().show()` opens a window.

        Raises:
            ImageError: As in `read_image`.
        """
        pixels = self.read_image()
        return Image.fromarray(plot_panels(draw_still(pixels, self.faces), pixels, self.faces))

    def _repr_html_(self) -> str:
        """Return what notebooks show: each face with a bar for every probability."""
        try:
            pixels = self.read_image()
        except ImageError:
            pixels = None
        return show_panels(self.name, pixels, self.faces)


@dataclass(frozen=True)
class ImageResult(Result):
    """The faces of one image, left to right; `rejected` counts boxes that the network rejected as non-faces.

    The image's file has `frames` frames or pages, of which this is number `frame`, counted from 0. `image` is what was
    recognized: a path, the content of a file or an array (not a copy), or None if it is not known.
    """

    source: str
    width: int
    height: int
    faces: list[Face] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    rejected: int = 0
    frames: int = 1
    frame: int = 0
    image: Kept | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The source, as text that any output can hold, and the frame if there are several."""
        frame = f", frame {self.frame + 1} of {self.frames}" if self.frames > 1 else ""
        return f"{printable(self.source)}{frame}"

    def to_json(self) -> dict[str, object]:
        """Return the result as JSON values, with the frame if its file has several."""
        frame = {"frame": self.frame, "frames": self.frames} if self.frames > 1 else {}
        return {"source": self.source, **frame, **_image_json(self)}

    def read_image(self) -> NDArray[np.uint8]:
        """Return the upright image, RGB (h, w, 3), read once more; `ImageError` if that fails."""
        if self.image is None:
            raise ImageError(f"The result for {self.name} does not hold its image; `Recognizer.recognize` returns it.")
        return read_pixels(self.image, self.source)


@dataclass(frozen=True)
class FrameResult(Result):
    """The faces of one frame of a video.

    `index` counts the source's frames from 0, `time` is in seconds since the first, `dropped` is how many frames of a
    live source have been skipped so far. `pixels` is the RGB frame (h, w, 3), or None if it is not kept.
    """

    index: int
    time: float
    width: int
    height: int
    faces: list[TrackedFace] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    dropped: int = 0
    pixels: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The frame's time."""
        return f"{self.time:.2f} s"

    def to_json(self) -> dict[str, object]:
        """Return the result as JSON values."""
        return {"frame": self.index, "time": round(self.time, 4), **_image_json(self)}

    def read_image(self) -> NDArray[np.uint8]:
        """Return the frame, RGB (h, w, 3); `ImageError` if it is not kept."""
        if self.pixels is None:
            raise ImageError(f"The frame at {self.name} is not kept.")
        return self.pixels


def _image_json(result: Result) -> dict[str, object]:
    return {
        "image_width": result.width,
        "image_height": result.height,
        "faces": [face.to_json(number) for number, face in enumerate(result.faces, start=1)],
        "shares": round_shares(result.shares),
    }


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as CSV; truth values are 0 and 1, and what is missing is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: int(v) if isinstance(v, bool) else v for k, v in row.items()} for row in rows)
    return text.getvalue()
