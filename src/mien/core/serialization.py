"""Results as plain values, with the same names and precision in JSON, CSV, Parquet and HTTP responses.

An image is `{source, image_width, image_height, faces, shares}`, with `frame` (from 0) and `frames` if its file has
several; a video's frame is `{frame, time, image_width, image_height, faces, shares}`. A face is `{face, x, y, width,
height, roll, score, label, confidence, unsure, probabilities}`; in a video it also has `track`, `seen` and `raw`.
Tables hold one row per face with a column for each label, and one with `face` 0 for an image or frame without a face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

IMAGE_COLUMNS = ("source", "image_width", "image_height")
FRAME_COLUMNS = ("source", "frame", "time", "image_width", "image_height")
FACE_COLUMNS = ("x", "y", "width", "height", "roll", "score", "label", "confidence", "unsure")


def table_columns(labels: Sequence[str], *, is_video: bool = False, has_frames: bool = False) -> tuple[str, ...]:
    """Return the names of a table's columns, in order; `has_frames`: images may be frames of one file."""
    if is_video:
        return (*FRAME_COLUMNS, "face", "track", "seen", *FACE_COLUMNS, *labels)
    source, *size = IMAGE_COLUMNS
    return (source, *(["frame"] if has_frames else []), *size, "face", *FACE_COLUMNS, *labels)


def table_rows(
    content: Mapping[str, Any], labels: Sequence[str], *, is_video: bool = False, has_frames: bool = False
) -> list[list[Any]]:
    """Return one row per face of an image or frame, in the order of `table_columns`; booleans become 0 and 1.

    Without faces there is one row: `face` is 0, and all that describes a face is None.

    Args:
        content: What the result's `to_json` returns; for a frame of a video, with the video's `source` added.
        labels: The model's labels.
        is_video: Whether `content` is a frame of a video.
        has_frames: Whether there is a column for the frame of an image.
    """
    columns = table_columns((), is_video=is_video, has_frames=has_frames)
    content = {"frame": 0, **content}
    rows = []
    for face in content["faces"]:
        values = [face[name] if name in face else content[name] for name in columns]
        rows.append([int(v) if isinstance(v, bool) else v for v in values] + [face["probabilities"][n] for n in labels])
    return rows or [[content.get(name) if name != "face" else 0 for name in columns] + [None] * len(labels)]
