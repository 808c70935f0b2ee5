"""What flows between the rooms: boxes, faces and the result for one picture."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Box:
    """A face box in pixels of the upright picture: left, top, width, height. It may reach past the border."""

    x: float
    y: float
    width: float
    height: float

    @property
    def centre(self) -> tuple[float, float]:
        """The middle (x, y), in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2

    def scaled(self, factor: float) -> Box:
        """Return the box in a picture whose sides are `factor` times as long."""
        return Box(self.x * factor, self.y * factor, self.width * factor, self.height * factor)

    def rounded(self) -> tuple[int, int, int, int]:
        """Return x, y, width, height in whole pixels."""
        return round(self.x), round(self.y), round(self.width), round(self.height)


@dataclass(frozen=True)
class Detection:
    """A face that a detector found: its box, the detector's score in [0, 1] and, if known, five landmarks.

    Landmarks are (x, y) pixels of right eye, left eye, nose tip, right and left mouth corner (the
    person's right).
    """

    box: Box
    score: float
    landmarks: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Face:
    """A face with its apparent expression; `probabilities` sum to 1 over the model's labels, in order."""

    box: Box
    score: float
    label: str
    probabilities: dict[str, float]

    @property
    def confidence(self) -> float:
        """The probability of `label`."""
        return self.probabilities[self.label]

    def to_json(self) -> dict[str, object]:
        """Return the face as it stands in `--format json`."""
        return {
            "box": list(self.box.rounded()),
            "score": round(self.score, 4),
            "label": self.label,
            "probabilities": {name: round(p, 6) for name, p in self.probabilities.items()},
        }


@dataclass(frozen=True)
class ImageResult:
    """The faces of one picture; `rejected` counts boxes that the network took for no face."""

    source: str
    width: int
    height: int
    faces: list[Face] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    rejected: int = 0

    @property
    def shares(self) -> dict[str, float]:
        """The share of the faces showing each expression: sums to 1, or all 0 when there is no face."""
        n = max(len(self.faces), 1)
        return {name: sum(face.label == name for face in self.faces) / n for name in self.labels}

    def to_json(self) -> dict[str, object]:
        """Return the result as one object of `--format json`."""
        return {
            "source": self.source,
            "width": self.width,
            "height": self.height,
            "faces": [face.to_json() for face in self.faces],
            "shares": {name: round(share, 6) for name, share in self.shares.items()},
        }
