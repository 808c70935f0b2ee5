"""The model card: everything needed to use a model file, stored as JSON in the file's metadata.

An .onnx file has only weights and operators. The card says what its numbers mean: the order of the labels, how a face
is cropped and normalized, how the network scored on which data.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from mien.core.errors import DataError, ModelError
from mien.core.expressions import LabelSet
from mien.core.upgrade import upgrade

METADATA_KEY = "mien"
FORMAT_VERSION = 1
Precision = Literal["float32", "float16", "int8"]


@dataclass(frozen=True)
class InputSpec:
    """The tensor a network takes: (N, channels, size, size) float32, `(pixel / 255 - mean) / std`.

    `is_grey`: the network has three channels but was trained on grey images; colour is removed for it.
    """

    size: int = 48
    channels: int = 1
    mean: float = 0.5
    std: float = 0.25
    is_grey: bool = False

    def __post_init__(self) -> None:
        if not 8 <= self.size <= 1024:
            raise ModelError(f"Input size is {self.size}; expected 8 to 1024 pixels.")
        if self.channels not in (1, 3):
            raise ModelError(f"Input has {self.channels} channels; expected 1 (grey) or 3 (RGB).")
        if not self.std > 0:
            raise ModelError(f"Input std is {self.std}; expected more than 0.")


@dataclass(frozen=True)
class CropSpec:
    """The square cut around a face box: side = scale * sqrt(width * height), centre moved by shifts * side.

    The defaults give a detected face the crop of FER2013's frames: of the crops around the median that
    `lab/benchmarks/crop.py` measures, these keep most of the accuracy (`lab/benchmarks/agreement.py`).
    """

    scale: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.02

    def __post_init__(self) -> None:
        if not 0.2 <= self.scale <= 5:
            raise ModelError(f"Crop scale is {self.scale}; expected 0.2 to 5.")


@dataclass(frozen=True)
class ModelCard:
    """The content of the card.

    Attributes:
        reject_threshold: The network has one more output than labels, the last for "not a face"; a box with a higher
            probability of it is dropped. None: the network cannot reject.
        unsure_threshold: An expression with a lower probability is shown as unsure; None: not chosen.
        precision: What the operators compute in; input and output are always float32.
        conversion: How a float16 or int8 file was made, and what it lost against 32 bits; else empty.
    """

    name: str
    network: str
    labels: LabelSet
    input: InputSpec
    crop: CropSpec
    paper: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    reject_threshold: float | None = None
    temperature: float = 1.0
    version: str = ""
    precision: Precision = "float32"
    conversion: dict[str, Any] = field(default_factory=dict)
    unsure_threshold: float | None = None

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ModelError(f"Precision is '{self.precision}'; expected one of {', '.join(get_args(Precision))}.")

    @property
    def outputs(self) -> int:
        """The number of logits: one per label, and one more if the network can reject."""
        return len(self.labels) + (self.reject_threshold is not None)

    @property
    def unsure_below(self) -> float:
        """The confidence below which a face is shown as unsure: `unsure_threshold`, or 0.5 if it was not chosen.

        Below 0.5 the other expressions together are more probable than the predicted one.
        """
        return 0.5 if self.unsure_threshold is None else self.unsure_threshold

    def to_json(self) -> str:
        """Return the card as JSON text."""
        fields = dataclasses.asdict(self) | {"format": FORMAT_VERSION, "labels": list(self.labels.names)}
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, source: str = "model file") -> ModelCard:
        """Read a card; `ModelError` names the field that is missing or does not fit."""
        try:
            fields = upgrade(json.loads(text))
        except ValueError:
            raise ModelError(f"{source}: the model card is not JSON; export the model again.") from None
        if not isinstance(fields, dict) or fields.pop("format", None) != FORMAT_VERSION:
            raise ModelError(f"{source}: the model card is not of format {FORMAT_VERSION}; export the model again.")
        try:
            fields["labels"] = LabelSet.of(fields["labels"])
            fields["input"] = InputSpec(**fields["input"])
            fields["crop"] = CropSpec(**fields["crop"])
            return cls(**fields)
        except (KeyError, TypeError, DataError, ModelError) as error:
            raise ModelError(f"{source}: the model card does not fit ({error}); export the model again.") from None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], source: str) -> ModelCard:
        """Read the card from an .onnx file's metadata."""
        if METADATA_KEY not in metadata:
            raise ModelError(f"{source} has no mien model card (labels, input, crop); write it with `mien export`.")
        return cls.from_json(metadata[METADATA_KEY], source)
