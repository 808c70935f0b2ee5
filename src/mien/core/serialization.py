"""Results as plain values, with the same names and precision in JSON, CSV, Parquet and HTTP responses.

An image is `{source, image_width, image_height, faces, shares}`, a video's frame `{frame, time, image_width,
image_height, faces, shares}`, and a face `{face, x, y, width, height, roll, score, label, confidence, unsure,
probabilities}`; in a video it also has `track`, `seen` and `raw`. Tables hold one row per face with a column for each
label, and one with `face` 0 for an image or frame without a face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IMAGE_COLUMNS = ("source", "image_width", "image_height")
FRAME_COLUMNS = ("source", "frame", "time", "image_width", "image_height")
FACE_COLUMNS = ("x", "y", "width", "height", "roll", "score", "label", "confidence", "unsure")


def table_columns(labels: Sequence[str], *, is_video: bool = False) -> tuple[str, ...]:
    """Return the names of a table's columns, in order."""
    if is_video:
        return (*FRAME_COLUMNS, "face", "track", "seen", *FACE_COLUMNS, *labels)
    return (*IMAGE_COLUMNS, "face", *FACE_COLUMNS, *labels)


def table_rows(content: Mapping[str, Any], labels: Sequence[str], *, is_video: bool = False) -> list[list[Any]]:
    """Return one row per face of an image or frame, in the order of `table_columns`; booleans become 0 and 1.

    Without faces there is one row: `face` is 0, and all that describes a face is None.

    Args:
        content: What the result's `to_json` returns; for a frame, with the video's `source` added.
        labels: The model's labels.
        is_video: Whether `content` is a frame of a video.
    """
    columns = table_columns((), is_video=is_video)
    rows = []
    for face in content["faces"]:
        values = [face[name] if name in face else content[name] for name in columns]
        rows.append([int(v) if isinstance(v, bool) else v for v in values] + [face["probabilities"][n] for n in labels])
    return rows or [[content.get(name) if name != "face" else 0 for name in columns] + [None] * len(labels)]
