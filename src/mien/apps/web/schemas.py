"""What the OpenAPI document says of bodies and answers, with an example each."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from mien.apps.web.problems import MEDIA_TYPE, NAMESPACE

_CHANCES = {"angry": 0.01, "disgust": 0.0, "fear": 0.01, "happy": 0.93, "sad": 0.01, "surprise": 0.02, "neutral": 0.02}
_FACE: dict[str, Any] = {
    "face": 1,
    "x": 212.4,
    "y": 88.0,
    "width": 121.7,
    "height": 160.2,
    "score": 0.94,
    "label": "happy",
    "confidence": 0.93,
    "probabilities": _CHANCES,
    "is_unsure": False,
}
_SHARES = {name: float(name == "happy") for name in _CHANCES}
RECOGNITION_EXAMPLE: dict[str, Any] = {
    "model": "default",
    "detector": "yunet",
    "images": [
        {
            "source": "group.jpg",
            "image_width": 640,
            "image_height": 480,
            "faces": [_FACE],
            "shares": _SHARES,
            "rejected": 0,
        }
    ],
}
FRAME_EXAMPLE: dict[str, Any] = {
    "type": "frame",
    "frame": 0,
    "time": 0.0,
    "image_width": 640,
    "image_height": 480,
    "faces": [{"track": 1, "seen": True, **_FACE, "raw": _CHANCES}],
    "shares": _SHARES,
}
PROBLEM_EXAMPLE: dict[str, Any] = {
    "type": NAMESPACE + "queue-full",
    "title": "Too many requests at the moment",
    "status": 429,
    "detail": "All 8 places for requests are taken; try again.",
}


class FaceAnswer(BaseModel):
    """A face with its *apparent* expression: how it looks, not what the person feels."""

    face: int = Field(description="1, 2, ... within the image.")
    x: float = Field(description="Left edge of the box, in pixels.")
    y: float = Field(description="Top edge of the box, in pixels.")
    width: float
    height: float
    score: float = Field(description="How sure the detector is that this is a face, 0 to 1.")
    label: str = Field(description="The most probable apparent expression.")
    probabilities: dict[str, float] = Field(description="Of every label; they sum to 1.")
    confidence: float = Field(description="The probability of `label`.")
    is_unsure: bool = Field(description="Whether `confidence` is too low to name an expression: show it as unsure.")


class PictureAnswer(BaseModel):
    """The faces of one picture, from left to right."""

    source: str = Field(description="The file name that was sent, or the field's name and number.")
    image_width: int
    image_height: int
    faces: list[FaceAnswer]
    shares: dict[str, float] = Field(description="The share of the faces showing each expression.")
    rejected: int = Field(description="Boxes of the detector that the network took for no face.")


class Recognition(BaseModel):
    """One result a picture, in the order in which they were sent."""

    model_config = {"json_schema_extra": {"examples": [RECOGNITION_EXAMPLE]}}

    model: str
    detector: str
    images: list[PictureAnswer]


class ModelAnswer(BaseModel):
    """A model that is loaded, in short; its whole card is at `card`."""

    name: str
    labels: list[str]
    input: dict[str, float]
    scores: dict[str, Any] = Field(description="How well it did, on what, and how it was selected.")
    unsure_threshold: float = Field(description="Below this probability a face's expression counts as unsure.")
    licence: str | None = Field(description="None: as the file's author says.")
    card: str = Field(description="Where the whole card is.")


class ModelsAnswer(BaseModel):
    """What is loaded; the first of each is taken where a request names none."""

    models: list[ModelAnswer]
    detectors: list[str]
    smoothing: list[str]


class Health(BaseModel):
    """Whether the server runs, or is ready for requests."""

    status: str


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    model_config = {"json_schema_extra": {"examples": [PROBLEM_EXAMPLE]}}

    type: str = Field(description=f"{NAMESPACE}KIND, with the kinds listed in docs/server.md.")
    title: str
    status: int
    detail: str


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer with problems."""
    told = {
        401: "An API key is needed, or the one given is wrong.",
        404: "No such address.",
        408: "The body came too slowly.",
        413: "Larger than the limits.",
        415: "A type of body that is not taken.",
        421: "The Host header names another server.",
        422: "A value does not fit, or a picture or video cannot be read.",
        429: "Too many requests at the moment; Retry-After says when to try again.",
        503: "The answer took too long, or the server is about to stop.",
    }
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {s: {"description": told.get(s, "The request cannot be understood."), "content": content} for s in statuses}


def upload(field: str, types: tuple[str, ...], most: int | None = None) -> dict[str, Any]:
    """Return the `requestBody` of a route that takes files: as a form, or one as the body itself."""
    binary: dict[str, Any] = {"type": "string", "format": "binary"}
    parts: dict[str, Any] = {"type": "array", "items": binary, "minItems": 1}
    form = {
        "type": "object",
        "required": [field],
        "properties": {field: parts | ({"maxItems": most} if most else {})},
        "additionalProperties": False,
    }
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    content |= {name: {"schema": binary} for name in types}
    return {"requestBody": {"required": True, "content": content}}
