"""What the OpenAPI document says about bodies and responses."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mien.apps.web.bodies import FORM, RAW
from mien.apps.web.problems import MEDIA_TYPE, Problem
from mien.core.types import Box, Face, TrackedFace
from mien.inference.results import FrameResult, ImageResult
from mien.inference.video.face_stream import StreamSettings
from mien.inference.video.smoothing import SmoothingMode

_PROBABILITIES = {"happy": 0.93, "neutral": 0.05, "sad": 0.02}
_FACE = Face(Box(212.4, 88.0, 121.7, 160.2), 0.94, "happy", _PROBABILITIES, roll=-4.2)
_TRACKED = TrackedFace(**vars(_FACE), track=1, raw=_PROBABILITIES)
_IMAGE = ImageResult("group.jpg", 640, 480, [_FACE], tuple(_PROBABILITIES))
_FRAME = FrameResult(0, 0.0, 640, 480, [_TRACKED], tuple(_PROBABILITIES))
RECOGNITION_EXAMPLE: dict[str, Any] = {
    "model": "default",
    "detector": "mien",
    "images": [_IMAGE.to_json()],
    "problems": [],
}


class Choice(BaseModel):
    """Which model and detector to use."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, description="A loaded model; default: the first.", max_length=200)
    detector: str | None = Field(None, description="A loaded detector; default: the first.", max_length=200)


class StreamOptions(Choice):
    """What a client can choose for a video or a camera."""

    smoothing: SmoothingMode = Field(StreamSettings.smoothing, description="Smoothing of probabilities over time.")
    time_constant: float = Field(
        StreamSettings.time_constant, description="Of the smoothing, in seconds.", gt=0, allow_inf_nan=False
    )
    detect_every: int = Field(
        StreamSettings.detect_every, description="Run the detector on every n-th frame.", ge=1, le=100
    )

    def stream_settings(self) -> StreamSettings:
        """Return the settings of the stream."""
        return StreamSettings(self.detect_every, self.smoothing, self.time_constant)


class FaceResponse(BaseModel):
    """A face with its *apparent* expression: how it looks, not what the person feels."""

    face: int = Field(description="Number in the image, from 1, from left to right.")
    x: float = Field(description="Left edge, in pixels of the upright image.")
    y: float = Field(description="Top edge.")
    width: float
    height: float
    roll: float = Field(description="By how many degrees the head is turned, clockwise; 0 if the detector cannot say.")
    score: float = Field(description="The detector's confidence that this is a face, 0 to 1.")
    label: str = Field(description="The most probable apparent expression.")
    confidence: float = Field(description="The probability of `label`.")
    unsure: bool = Field(description="Whether that is below the model's `unsure_threshold`.")
    probabilities: dict[str, float] = Field(description="Of every label; they sum to 1.")


class ImageResponse(BaseModel):
    """The faces of one image, from left to right."""

    source: str = Field(description="The file name that was sent, or the field's name and number.")
    frame: int | None = Field(None, description="Only of an animation or a document: the frame or page, 0.")
    frames: int | None = Field(None, description="Only of an animation or a document: how many it has.")
    image_width: int
    image_height: int
    faces: list[FaceResponse]
    shares: dict[str, float] = Field(description="Share of the faces that count as each label, and as `unsure`.")


class SourceProblem(Problem):
    """Why one of several images could not be read."""

    source: str = Field(description="The file name that was sent, or the field's name and number.")


class Recognition(BaseModel):
    """One result per image that can be read, in the order of the request."""

    model_config = ConfigDict(json_schema_extra={"examples": [RECOGNITION_EXAMPLE]})

    model: str
    detector: str
    images: list[ImageResponse]
    problems: list[SourceProblem] = Field(description="One per image that cannot be read.")


class InputResponse(BaseModel):
    """What a model takes: square faces, scaled to `(pixel / 255 - mean) / std`."""

    size: int
    channels: int
    mean: float
    std: float
    is_grey: bool


class ModelResponse(BaseModel):
    """A loaded model in short; `card` is the address of its whole card."""

    name: str
    labels: list[str]
    input: InputResponse
    scores: dict[str, Any] = Field(description="How well it did, on which data, and how it was selected.")
    unsure_threshold: float = Field(description="A face counts as unsure if its confidence is below.")
    licence: str | None = Field(description="None: see the file's author.")
    card: str


class ModelsResponse(BaseModel):
    """What is loaded; the first model and the first detector are the defaults."""

    models: list[ModelResponse]
    detectors: list[str]
    smoothing: list[str]


class Health(BaseModel):
    """Whether the server runs, or is ready for requests."""

    status: str


_PROBLEM = {"content": {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}}
PROBLEM_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request cannot be answered; `detail` says what to do."} | _PROBLEM,
    "5XX": {"description": "The server has a bug, is too slow or is shutting down."} | _PROBLEM,
}
LINES_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One JSON object per line: `frame`s, then `end`, or `error` with a problem.",
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": json.dumps({"type": "frame"} | _FRAME.to_json()),
            }
        },
    },
}
COMPLETE = "X-Complete"
VIDEO_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The video with boxes and labels, as an MP4 file.",
        "content": {"video/mp4": {"schema": {"type": "string", "format": "binary"}}},
        "headers": {
            COMPLETE: {
                "description": "false: the video has more frames than the limit, and the file ends there.",
                "schema": {"type": "boolean"},
            }
        },
    },
}


def describe_upload(field: str, kind: str, files: int) -> dict[str, Any]:
    """Return the `requestBody` of a route that takes files: as a form, or one as the body itself."""
    binary = {"type": "string", "format": "binary"}
    form = {
        "type": "object",
        "required": [field],
        "properties": {field: {"type": "array", "items": binary, "minItems": 1, "maxItems": files}},
        "additionalProperties": False,
    }
    raw = {media_type: {"schema": binary} for media_type in (f"{kind}/*", RAW)}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": form}} | raw}}
