"""Find the faces of a picture and name their apparent expressions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.card import CropSpec, ModelCard
from mien.core.errors import ImageError
from mien.core.image import as_rgb, crop_face, decode_image, fit_face, read_image, to_batch
from mien.core.types import Box, Detection, Face, ImageResult
from mien.inference.detectors import Detector, remove_duplicates
from mien.inference.detectors.registry import DetectorSpec, create_detector
from mien.inference.model import ExpressionModel, Scores

ImageLike = str | os.PathLike[str] | bytes | NDArray[Any]


class Recognizer:
    """A face detector and an expression network, ready to use. Safe to share between threads.

    Example:
        >>> from mien import Recognizer
        >>> result = Recognizer().recognize("group.jpg")  # doctest: +SKIP
        >>> [(face.label, face.confidence) for face in result.faces]  # doctest: +SKIP
        [('happy', 0.93), ('neutral', 0.71)]
    """

    def __init__(
        self,
        model: str | Path | ExpressionModel = "default",
        detector: DetectorSpec = "auto",
        threads: int = 1,
        *,
        use_rejection: bool = True,
    ) -> None:
        """Load the network and the detector.

        Args:
            model: The name of a shipped model, an .onnx file, or a model that is loaded already.
            detector: `auto`, `yunet`, `haar`, `none` (each image is one face), a plug-in's name, `NAME:FILE` with a
                model file, a YuNet model file, or a detector object.
            threads: CPU threads of the network, at least 1.
            use_rejection: Drop boxes that the network takes for no face; not done where `detector` is `none`.

        Raises:
            ModelError: The model or the detector cannot be used.
        """
        self.model = model if isinstance(model, ExpressionModel) else ExpressionModel.load(model, threads)
        self.detector: Detector = create_detector(detector)
        # The whole picture is a crop already: what the network was trained on.
        self.crop_spec = CropSpec(scale=1, shift_x=0, shift_y=0) if self.is_whole_image else self.card.crop
        self._threshold = self.card.reject_threshold if use_rejection and not self.is_whole_image else None

    @property
    def card(self) -> ModelCard:
        """What the network is: its labels, input, crop and scores."""
        return self.model.card

    def recognize(self, image: ImageLike, *, source: str | None = None) -> ImageResult:
        """Return the faces of one picture, from left to right; all of them are scored in one forward pass.

        Args:
            image: A file's path, its bytes, or an array: (h, w), (h, w, 1), (h, w, 3) RGB or (h, w, 4)
                RGBA; uint8,
                uint16 or floats in [0, 1]. OpenCV's arrays are BGR: turn them with `image[..., ::-1]`.
            source: What to call the picture in the result; by default its path.

        Raises:
            ImageError: The picture cannot be read.
        """
        return self.recognize_batch([image], None if source is None else [source])[0]

    def recognize_batch(self, images: Sequence[ImageLike], sources: Sequence[str] | None = None) -> list[ImageResult]:
        """Return one result a picture, in order; the faces of all of them are scored in one forward pass.

        Args:
            images: Pictures as in `recognize`.
            sources: Their names in the results and in errors; by default their paths.

        Raises:
            ImageError: A picture cannot be read, or there are not as many names as pictures.
        """
        names = [image_name(image) for image in images] if sources is None else list(sources)
        if len(names) != len(images):
            raise ImageError(f"{len(images)} pictures came with {len(names)} names; expected one each.")
        sizes: list[tuple[int, int]] = []
        found: list[list[Detection]] = []
        crops: list[NDArray[np.uint8]] = []
        for image, name in zip(images, names, strict=True):
            pixels = read_pixels(image, name)
            sizes.append((pixels.shape[1], pixels.shape[0]))
            found.append(sorted(self.detect(pixels), key=lambda d: d.box.centre))
            crops += [self.crop(pixels, detection.box) for detection in found[-1]]
        scores = self.score(crops)
        results, first = [], 0
        for name, size, detections in zip(names, sizes, found, strict=True):
            rows = range(first, first + len(detections))
            results.append(self._result(name, size, detections, scores, rows))
            first += len(detections)
        return results

    def detect(self, pixels: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of an upright RGB picture (h, w, 3), each once, best first."""
        return remove_duplicates(self.detector.detect(pixels))

    def crop(self, pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
        """Cut a face out of an RGB picture (h, w, 3), as the network wants it: (size, size[, 3])."""
        return fit_face(crop_face(pixels, box, self.crop_spec), self.card.input)

    def score(self, crops: Sequence[NDArray[np.uint8]]) -> Scores:
        """Score faces cut by `crop` in one forward pass."""
        return self.model.predict(to_batch(crops, self.card.input))

    def is_face(self, reject: float) -> bool:
        """Tell whether a box counts as a face, by the probability that it is none (`Scores.reject`)."""
        return self._threshold is None or reject <= self._threshold

    @property
    def is_whole_image(self) -> bool:
        """Whether each picture is one face, and nothing is sought in it."""
        return bool(getattr(self.detector, "is_whole_image", False))

    def _result(
        self, name: str, size: tuple[int, int], detections: list[Detection], scores: Scores, rows: range
    ) -> ImageResult:
        labels = self.card.labels.names
        faces = []
        for detection, row in zip(detections, rows, strict=True):
            if not self.is_face(float(scores.reject[row])):
                continue
            chances = dict(zip(labels, scores.probabilities[row].tolist(), strict=True))
            label = max(chances, key=chances.__getitem__)
            faces.append(Face(detection.box, detection.score, label, chances))
        return ImageResult(name, *size, faces, labels, rejected=len(detections) - len(faces))


def read_pixels(image: ImageLike, name: str) -> NDArray[np.uint8]:
    """Return a picture as upright RGB (h, w, 3), whatever it is given as; `name` is for errors.

    Raises:
        ImageError: The picture cannot be read.
    """
    if isinstance(image, str | os.PathLike):
        return read_image(Path(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return decode_image(bytes(image), name)
    if isinstance(image, np.ndarray):
        return as_rgb(image)
    raise ImageError(f"A picture is a {type(image).__name__}; expected a path, bytes or a numpy array.")


def image_name(image: ImageLike) -> str:
    """Return what to call a picture: its path, or "image"."""
    return os.fspath(image) if isinstance(image, str | os.PathLike) else "image"
