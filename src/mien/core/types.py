"""Boxes, faces, and the results for an image and for a frame of a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UNSURE = "unsure"
"""What a face counts as while the probability of its label is below the model's threshold."""


@dataclass(frozen=True)
class Box:
    """A face box in pixels of the upright image: left, top, width, height. It may reach beyond the border."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle (x, y), in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    def scaled(self, factor: float) -> Box:
        """Return the box in an image whose sides are `factor` times as long."""
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)

    def rounded(self) -> tuple[int, int, int, int]:
        """Return x, y, width, height in whole pixels."""
        return round(self.x), round(self.y), round(self.width), round(self.height)


@dataclass(frozen=True)
class Detection:
    """A detected face: its box, the detector's score in [0, 1] and, if known, five landmarks and the head's roll.

    Landmarks are (x, y) pixels of right eye, left eye, nose tip, right and left mouth corner (the person's right).
    `roll` is in degrees, clockwise as seen in the image: above 0, the top of the head leans to the right. The box is
    the upright face's, turned around its centre by that.
    """

    box: Box
    score: float
    landmarks: tuple[tuple[float, float], ...] = ()
    roll: float = 0.0


@dataclass(frozen=True)
class Face:
    """A face with its apparent expression.

    `probabilities` sum to 1 over the model's labels, in order; `label` is the most probable one. With a probability
    below `unsure_below` (the model's, see `ModelCard.unsure_below`) the face counts as unsure. `roll` is the head's, as
    in `Detection`.
    """

    box: Box
    score: float
    label: str
    probabilities: dict[str, float]
    roll: float = field(default=0.0, kw_only=True)
    unsure_below: float = field(default=0.0, kw_only=True)

    @property
    def confidence(self) -> float:
        """The probability of `label`."""
        return self.probabilities[self.label]

    @property
    def is_unsure(self) -> bool:
        """Whether the label is too uncertain to count; every table, drawing, share and summary follows this rule."""
        return self.confidence < self.unsure_below

    @property
    def counts_as(self) -> str:
        """The label, or "unsure"."""
        return UNSURE if self.is_unsure else self.label

    @property
    def wording(self) -> str:
        """What to show people: `happy`, or `unsure (happy?)`."""
        return f"{UNSURE} ({self.label}?)" if self.is_unsure else self.label

    def to_json(self, number: int) -> dict[str, object]:
        """Return the face as `mien.core.serialization` says; `number` counts the faces of its image from 1."""
        return {
            "face": number,
            **{side: round(float(getattr(self.box, side)), 1) for side in ("x", "y", "width", "height")},
            "roll": round(float(self.roll), 1),
            "score": round(float(self.score), 4),
            "label": self.label,
            "confidence": round(float(self.confidence), 6),
            "unsure": self.is_unsure,
            "probabilities": _rounded(self.probabilities),
        }


@dataclass(frozen=True)
class TrackedFace(Face):
    """A face of a video: `track` is the same number in every frame that shows it.

    `label` and `probabilities` are smoothed over time, `raw` is of this frame alone. `is_seen` is False where the face
    is hidden: then the box is predicted, and the expression is the last one seen.
    """

    track: int
    raw: dict[str, float]
    is_seen: bool = True

    @property
    def raw_label(self) -> str:
        """The most probable label of this frame alone."""
        return max(self.raw, key=self.raw.__getitem__)

    def to_json(self, number: int) -> dict[str, object]:
        """Return the face as JSON values; `number` counts the faces of its frame from 1."""
        face = super().to_json(number)
        return {"face": number, "track": self.track, "seen": self.is_seen, **face, "raw": _rounded(self.raw)}


@dataclass(frozen=True)
class ImageResult:
    """The faces of one image, left to right; `rejected` counts boxes that the network rejected as non-faces.

    The image's file has `frames` frames or pages, of which this is number `frame`, counted from 0.
    """

    source: str
    width: int
    height: int
    faces: list[Face] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    rejected: int = 0
    frames: int = 1
    frame: int = 0

    @property
    def shares(self) -> dict[str, float]:
        """The share of faces that count as each label, and as "unsure": sums to 1, or all 0 without faces."""
        return _shares(self.faces, self.labels)

    def to_json(self) -> dict[str, object]:
        """Return the result as JSON values, with the frame if its file has several."""
        frame = {"frame": self.frame, "frames": self.frames} if self.frames > 1 else {}
        return {"source": self.source, **frame, **_image_json(self)}


@dataclass(frozen=True)
class FrameResult:
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
    def shares(self) -> dict[str, float]:
        """The share of visible faces that count as each label, and as "unsure": sums to 1, or all 0 without any."""
        return _shares([face for face in self.faces if face.is_seen], self.labels)

    def to_json(self) -> dict[str, object]:
        """Return the result as JSON values."""
        return {"frame": self.index, "time": round(self.time, 4), **_image_json(self)}


def _image_json(result: ImageResult | FrameResult) -> dict[str, object]:
    return {
        "image_width": result.width,
        "image_height": result.height,
        "faces": [face.to_json(number) for number, face in enumerate(result.faces, start=1)],
        "shares": _rounded(result.shares),
    }


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    return {name: round(float(share), 6) for name, share in shares.items()}


def _shares(faces: Sequence[Face], labels: Sequence[str]) -> dict[str, float]:
    return {name: sum(face.counts_as == name for face in faces) / max(len(faces), 1) for name in (*labels, UNSURE)}
