"""Boxes, and faces with their apparent expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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

    def within(self, width: float, height: float) -> Box:
        """Return the part of the box that lies in an image of `width` x `height` pixels; its sides may be 0."""
        left, right = (min(max(x, 0), width) for x in (self.x, self.x + self.width))
        top, bottom = (min(max(y, 0), height) for y in (self.y, self.y + self.height))
        return Box(left, top, right - left, bottom - top)

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
            "probabilities": round_shares(self.probabilities),
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
        return {"face": number, "track": self.track, "seen": self.is_seen, **face, "raw": round_shares(self.raw)}


def round_shares(shares: Mapping[str, float]) -> dict[str, float]:
    """Return probabilities or shares as results give them: with six digits after the point."""
    return {name: round(float(share), 6) for name, share in shares.items()}
