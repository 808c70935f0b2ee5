"""Results as the API tells them: with how sure the model is, and when that is too little to name an expression."""

from __future__ import annotations

from typing import Any

from mien.core.card import ModelCard
from mien.core.types import FrameResult, ImageResult

# Below one half, the other expressions together are more probable than the named one.
UNSURE_BELOW = 0.5


def unsure_threshold(card: ModelCard) -> float:
    """Return the probability below which a face's expression counts as unsure: the card's, else 0.5."""
    return UNSURE_BELOW if card.unsure_threshold is None else card.unsure_threshold


def picture_answer(result: ImageResult, card: ModelCard) -> dict[str, Any]:
    """Return one picture's result as JSON values; `rejected` counts boxes that are no faces."""
    return result.to_json() | {"faces": _faces(result, card), "rejected": result.rejected}


def frame_answer(result: FrameResult, card: ModelCard) -> dict[str, Any]:
    """Return one frame's result as JSON values."""
    return {"type": "frame"} | result.to_json() | {"faces": _faces(result, card)}


def _faces(result: ImageResult | FrameResult, card: ModelCard) -> list[dict[str, Any]]:
    threshold = unsure_threshold(card)
    return [
        face.to_json(number) | {"is_unsure": face.confidence < threshold}
        for number, face in enumerate(result.faces, start=1)
    ]
