"""Results as the API tells them: with how sure the model is, and when that is too little to name an expression."""

from __future__ import annotations

from typing import Any

from mien.core.card import ModelCard
from mien.core.types import Face, FrameResult, ImageResult, TrackedFace

# Below one half, the other expressions together are more probable than the named one.
UNSURE_BELOW = 0.5


def unsure_threshold(card: ModelCard) -> float:
    """Return the probability below which a face's expression counts as unsure: the card's, else 0.5."""
    return UNSURE_BELOW if card.unsure_threshold is None else card.unsure_threshold


def picture_answer(result: ImageResult, card: ModelCard) -> dict[str, Any]:
    """Return one picture's result as JSON values; `rejected` counts boxes that are no faces."""
    told = result.to_json()
    return told | {"faces": [_face(face, card) for face in result.faces], "rejected": result.rejected}


def frame_answer(result: FrameResult, card: ModelCard) -> dict[str, Any]:
    """Return one frame's result as JSON values; the reader adds its time."""
    return {
        "type": "frame",
        "width": result.width,
        "height": result.height,
        "faces": [_tracked(face, card) for face in result.faces],
        "shares": {name: round(share, 6) for name, share in result.shares.items()},
    }


def _tracked(face: TrackedFace, card: ModelCard) -> dict[str, Any]:
    raw = {name: round(p, 6) for name, p in face.raw.items()}
    return {"track": face.track, "is_seen": face.is_seen, **_face(face, card), "raw": raw}


def _face(face: Face, card: ModelCard) -> dict[str, Any]:
    return {
        "box": [round(value, 1) for value in (face.box.x, face.box.y, face.box.width, face.box.height)],
        "score": round(face.score, 4),
        "label": face.label,
        "probabilities": {name: round(p, 6) for name, p in face.probabilities.items()},
        "confidence": round(face.confidence, 6),
        "is_unsure": face.confidence < unsure_threshold(card),
    }
