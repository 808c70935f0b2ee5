"""The detector's card: what the maps of a face detection network mean, stored as JSON in its .onnx file's metadata."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.core.errors import ModelError

METADATA_KEY = "mien_detector"
FORMAT_VERSION = 1
STRIDE = 8  # the only one that `face_maps` reads


@dataclass(frozen=True)
class DetectorCard:
    """The content of the card. A face's side is that of the square which the default `CropSpec` cuts, in pixels.

    Attributes:
        name: The network's name.
        slope: Score = sigmoid(slope * logit + offset), the probability that a box is a face.
        offset: See `slope`.
        threshold: The score, in (0, 1), below which no box is returned.
        stride: Pixels per cell of the maps, horizontally and vertically.
        side: The side at which the map of sides is 0.
        smallest_side: The smallest side that is found reliably; the smallest face of an image is scaled to it.
        sides: The smallest and the largest side that are read from the maps; larger faces are found in smaller images.
        recipe: How the network was trained.
        scores: What was measured, by name of the data.
        version: The version of mien that wrote the file.
    """

    name: str
    slope: float
    offset: float
    threshold: float
    stride: int = STRIDE
    side: float = 28.0
    smallest_side: float = 20.0
    sides: tuple[float, float] = (14.0, 54.0)
    recipe: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    version: str = ""

    def __post_init__(self) -> None:
        low, high = self.sides
        if self.stride != STRIDE:
            raise ModelError(f"Stride is {self.stride}; expected {STRIDE} pixels.")
        if not (self.slope > 0 and math.isfinite(self.slope) and math.isfinite(self.offset)):
            raise ModelError(f"Slope and offset are {self.slope} and {self.offset}; expected numbers, slope above 0.")
        if not 0 < self.threshold < 1:
            raise ModelError(f"Threshold is {self.threshold}; expected a score between 0 and 1.")
        if not 4 <= low <= self.smallest_side <= self.side <= high <= 256:
            raise ModelError(
                f"Sides are {low:g} to {high:g}, smallest_side {self.smallest_side:g}, side {self.side:g}; expected "
                "smallest_side and side in this order within the sides, all within 4 to 256 pixels."
            )

    def to_json(self) -> str:
        """Return the card as JSON text."""
        return json.dumps(dataclasses.asdict(self) | {"format": FORMAT_VERSION}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, source: str = "model file") -> DetectorCard:
        """Read a card; `ModelError` names the field that is missing or does not fit."""
        advice = "export the detector again"
        try:
            fields = json.loads(text)
        except ValueError:
            raise ModelError(f"{source}: the detector's card is not JSON; {advice}.") from None
        if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT_VERSION:
            raise ModelError(f"{source}: the detector's card is not of format {FORMAT_VERSION}; {advice}.")
        try:
            low, high = fields.get("sides", cls.sides)
            fields["sides"] = (float(low), float(high))
            return cls(**fields)
        except (TypeError, ValueError, ModelError) as error:
            reason = str(error).removeprefix("DetectorCard.__init__() ").rstrip(".")
            raise ModelError(f"{source}: the detector's card does not fit ({reason}); {advice}.") from None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str) -> DetectorCard:
        """Read the card from an .onnx file's metadata."""
        if METADATA_KEY not in metadata:
            raise ModelError(f"{source} has no card of a mien face detector; expected a file that mien trained.")
        return cls.from_json(metadata[METADATA_KEY], source)
