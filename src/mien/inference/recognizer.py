"""Find the faces in images and name their apparent expressions: find -> crop -> score, the only implementation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.card import CropSpec, ModelCard
from mien.core.decoding import DEFAULT_LIMITS, EncodedImage, Limits, open_image
from mien.core.errors import ImageError
from mien.core.image import as_rgb, crop_face, fit_face, roll_to_undo, to_batch
from mien.core.types import Box, Detection, Face, ImageResult
from mien.inference.detectors import Detector, remove_duplicates
from mien.inference.detectors.registry import DetectorSpec, create_detector
from mien.inference.model import Model, OnnxModel, Scores

ImageLike = str | os.PathLike[str] | bytes | NDArray[Any]


@dataclass(frozen=True)
class FoundFaces:
    """The faces found in one image of `width` x `height` pixels, from left to right.

    `crops` are as the network takes them: (size, size) or (size, size, 3). The image's file has `frames` frames or
    pages; the faces are those of the first.
    """

    source: str
    width: int
    height: int
    detections: list[Detection]
    crops: list[NDArray[np.uint8]] = field(repr=False)
    frames: int = 1


class Recognizer:
    """A face detector and an expression network. Safe to share between threads.

    Example:
        >>> import numpy as np
        >>> from mien import Recognizer
        >>> result = Recognizer(detector="none").recognize(np.zeros((48, 48), np.uint8))
        >>> len(result.faces), sorted(result.faces[0].probabilities)
        (1, ['angry', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise'])
    """

    def __init__(
        self,
        model: str | Path | Model = "default",
        detector: DetectorSpec = "auto",
        threads: int = 1,
        *,
        use_rejection: bool = True,
    ) -> None:
        """Load the network and the detector.

        Args:
            model: The name of a shipped model, an .onnx file, or a loaded model.
            detector: `auto` (mien's own), `yunet`, `haar`, `none` (each image is one face), a plug-in's name,
                `NAME:FILE` with a model file, a model file, or a detector object. `@PIXELS` after the first one's name
                or file is the smallest face to find: `mien@40`.
            threads: CPU threads of the network, at least 1; ignored for a loaded model.
            use_rejection: Drop boxes that the network rejects as non-faces; ignored if each image is one face.

        Raises:
            ModelError: The model or the detector cannot be used.
        """
        self.model: Model = OnnxModel.load(model, threads) if isinstance(model, str | Path) else model
        self.detector: Detector = create_detector(detector)
        # A whole image is cropped already, as the network's training faces were.
        self.crop_spec = CropSpec(scale=1, shift_x=0, shift_y=0) if self.is_whole_image else self.card.crop
        self._threshold = self.card.reject_threshold if use_rejection and not self.is_whole_image else None

    @property
    def card(self) -> ModelCard:
        """The description of the network: its labels, input, crop and scores."""
        return self.model.card

    @property
    def is_whole_image(self) -> bool:
        """Whether each image is taken as one face, without detection."""
        return bool(getattr(self.detector, "is_whole_image", False))

    def recognize(self, image: ImageLike, *, source: str | None = None) -> ImageResult:
        """Return the faces of one image, from left to right.

        Args:
            image: A file's path, its bytes, or an array: (h, w), (h, w, 1), (h, w, 3) RGB or (h, w, 4) RGBA; uint8,
                uint16 or floats in [0, 1]. OpenCV's arrays are BGR: convert them with `image[..., ::-1]`. An animation
                or a document gives its first frame or page; `open_image(path).frames()` of `mien.core.decoding` yields
                all of them as arrays.
            source: The image's name in the result and in errors; by default its path.

        Raises:
            ImageError: The image cannot be read.
        """
        return self.classify([self.find(image, source)])[0]

    def recognize_batch(self, images: Sequence[ImageLike]) -> list[ImageResult]:
        """Return one result per image, in order; the faces of all of them are scored in one forward pass.

        Raises:
            ImageError: An image cannot be read.
        """
        return self.classify([self.find(image) for image in images])

    def find(self, image: ImageLike, source: str | None = None, *, limits: Limits = DEFAULT_LIMITS) -> FoundFaces:
        """Find the faces of one image and cut them out.

        Args:
            image: As in `recognize`.
            source: The image's name in the result and in errors; by default its path.
            limits: The largest file and the largest image to decode.

        Raises:
            ImageError: The image cannot be read, or exceeds a limit.
        """
        name = image_name(image) if source is None else source
        pixels, frames = _read(image, name, limits)
        detections = sorted(self.detect(pixels), key=lambda detection: detection.box.centre)
        crops = [self.crop(pixels, detection.box, detection.roll) for detection in detections]
        return FoundFaces(name, pixels.shape[1], pixels.shape[0], detections, crops, frames)

    def classify(self, found: Sequence[FoundFaces], *, batch: int | None = None) -> list[ImageResult]:
        """Return one result per image, in order, without rejected faces.

        Args:
            found: The faces of several images.
            batch: The largest number of faces in one forward pass; None: no limit.
        """
        crops = [crop for faces in found for crop in faces.crops]
        size = batch or max(len(crops), 1)
        passes = [self.score(crops[first : first + size]) for first in range(0, max(len(crops), 1), size)]
        rows = zip(
            np.concatenate([scores.probabilities for scores in passes]),
            np.concatenate([scores.reject for scores in passes]),
            strict=True,
        )
        labels = self.card.labels.names
        results = []
        for one in found:
            faces = []
            for detection, (probabilities, reject) in zip(one.detections, rows, strict=False):
                if self.is_face(float(reject)):
                    label = labels[int(probabilities.argmax())]
                    by_label = dict(zip(labels, probabilities.tolist(), strict=True))
                    box, score, roll = detection.box, detection.score, detection.roll
                    faces.append(Face(box, score, label, by_label, roll=roll, unsure_below=self.card.unsure_below))
            rejected = len(one.detections) - len(faces)
            results.append(ImageResult(one.source, one.width, one.height, faces, labels, rejected, one.frames))
        return results

    def detect(self, pixels: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of an upright RGB image (h, w, 3), without duplicates, best first."""
        return remove_duplicates(self.detector.detect(pixels))

    def crop(self, pixels: NDArray[np.uint8], box: Box, roll: float = 0.0) -> NDArray[np.uint8]:
        """Cut a face out of an RGB image and turn it upright, as the network takes it.

        Args:
            pixels: (h, w, 3).
            box: The detected face, in pixels.
            roll: The head's, in degrees; see `Detection`.

        Returns:
            (size, size) or (size, size, 3).
        """
        return fit_face(crop_face(pixels, box, self.crop_spec, roll_to_undo(roll)), self.card.input)

    def score(self, crops: Sequence[NDArray[np.uint8]]) -> Scores:
        """Score faces cut by `crop` in one forward pass."""
        return self.model.predict(to_batch(crops, self.card.input))

    def is_face(self, reject: float) -> bool:
        """Return whether a box counts as a face, given the probability that it is a non-face (`Scores.reject`)."""
        return self._threshold is None or reject <= self._threshold


def read_pixels(image: ImageLike, name: str, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Return an image as upright RGB (h, w, 3); `name` is its name in errors."""
    return _read(image, name, limits)[0]


def _read(image: ImageLike, name: str, limits: Limits) -> tuple[NDArray[np.uint8], int]:
    """Return the first frame of an image, and the number of frames of its file."""
    if isinstance(image, np.ndarray):
        return as_rgb(image), 1
    if isinstance(image, str | os.PathLike):
        file = open_image(Path(image), limits, source=name)
    elif isinstance(image, bytes | bytearray | memoryview):
        file = EncodedImage(bytes(image), name, limits)
    else:
        raise ImageError(f"Got an image of type {type(image).__name__}; expected a path, bytes or a numpy array.")
    return file.first(), len(file)


def image_name(image: ImageLike) -> str:
    """Return the name of an image: its path, or "image"."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else "image"
