"""Find the faces in images and name their apparent expressions: find -> crop -> score, the only implementation."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.card import CropSpec, ModelCard
from mien.core.decoding import DEFAULT_LIMITS, Limits
from mien.core.errors import ModelError
from mien.core.image import crop_face, fit_face, roll_to_undo, to_batch
from mien.core.paths import AnyPath
from mien.core.types import Box, Detection, Face
from mien.inference.detectors import Detector, remove_duplicates
from mien.inference.detectors.registry import DetectorSpec, create_detector
from mien.inference.images import ImageLike, Kept, image_name, keep, read_first, refuse_folder, several
from mien.inference.model import Model, OnnxModel, Scores, open_model
from mien.inference.results import ImageResult
from mien.inference.views import check_views, predict_views


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
    """A face detector and an expression network. Safe to share between threads, and to send to other processes.

    Examples:
        >>> import numpy as np
        >>> from mien import Recognizer
        >>> result = Recognizer(detector="none").recognize(np.zeros((48, 48), np.uint8))
        >>> len(result.faces), sorted(result.faces[0].probabilities)
        (1, ['angry', 'disgust', 'fear', 'happy', 'neutral', 'sad', 'surprise'])
    """

    def __init__(
        self,
        model: AnyPath | Model = "default",
        detector: DetectorSpec = "auto",
        threads: int = 1,
        *,
        use_rejection: bool = True,
        views: str = "one",
    ) -> None:
        """Load the network and the detector.

        Args:
            model: The name of a shipped model, an .onnx file, or a loaded model.
            detector: `auto` (mien's own), `yunet`, `haar`, `none` (each image is one face), a plug-in's name,
                `NAME:FILE` with a model file, a model file, or a detector object. `@PIXELS` after the first one's name
                or file is the smallest face to find: `mien@40`.
            threads: CPU threads of the network, at least 1; ignored for a loaded model.
            use_rejection: Drop boxes that the network rejects as non-faces; ignored if each image is one face.
            views: `one`; `flip`: scores are averaged with those of the mirrored face, in twice the network's time; or
                `ten-crop`, see `views_of`. Thresholds and temperature of the card are those of one view.

        Raises:
            ModelError: The model or the detector cannot be used.
            DataError: There are no such views.
        """
        self.views = check_views(views)
        self.model: Model = open_model(model, threads)
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

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled; parts of other packages that cannot be are named in one line."""
        for name, part in (("model", self.model), ("detector", self.detector)):
            if not isinstance(part, OnnxModel):
                try:
                    pickle.dumps(part)
                except Exception as error:
                    raise pickle.PicklingError(
                        f"The {name} of type {type(part).__name__} cannot be pickled ({error}); make a Recognizer in "
                        f"each process, or give the {name} a __reduce__."
                    ) from None
        return self.__dict__

    def recognize(self, image: ImageLike, *, source: str | None = None) -> ImageResult:
        """Return the faces of one image, from left to right.

        Args:
            image: A file's path, its content as bytes, a file opened with "rb", a PIL image, or an array or a tensor on
                the CPU: (h, w), (h, w, 1), (h, w, 3) RGB or (h, w, 4) RGBA; uint8, uint16 or floats in [0, 1].
                OpenCV's arrays are BGR: convert them with `image[..., ::-1]`. An animation or a document gives its
                first frame or page; `open_image(path).frames()` of `mien.core.decoding` yields all of them as arrays.
            source: The image's name in the result and in errors; by default its path.

        Raises:
            ImageError: The image cannot be read.
        """
        name = image_name(image) if source is None else source
        kept = keep(image, name)
        refuse_folder(kept, name)
        return replace(self.classify([self.find(kept, name)])[0], image=_settled(kept))

    def recognize_batch(self, images: Iterable[ImageLike]) -> list[ImageResult]:
        """Return one result per image, in order; the faces of all of them are scored in one forward pass.

        Raises:
            ImageError: An image cannot be read, or one image is given instead of several.
        """
        found, kept = [], []
        for image in several(images):
            name = image_name(image)
            kept.append(keep(image, name))
            found.append(self.find(kept[-1], name))
        results = zip(self.classify(found), kept, strict=True)
        return [replace(result, image=_settled(one)) for result, one in results]

    def embeddings(self, image: ImageLike) -> NDArray[np.float32]:
        """Return the features of each face that `recognize` finds, in the same order, (faces, features).

        They are what the network's last layer gets. Faces whose features point in similar directions look alike to the
        network; it was trained for expressions, so they say little about who it is.

        Raises:
            ImageError: The image cannot be read.
            ModelError: The model cannot give features.
        """
        if not isinstance(self.model, OnnxModel):
            raise ModelError(f"A model of type {type(self.model).__name__} gives no features; expected an .onnx file.")
        batch = to_batch(self.find(image).crops, self.card.input)
        is_face = [self.is_face(float(reject)) for reject in self.model.predict(batch).reject]
        return self.model.features(batch[is_face])

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
        pixels, frames = read_first(image, name, limits)
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
        """Score faces cut by `crop`, in one forward pass for each view."""
        return predict_views(self.model, to_batch(crops, self.card.input), self.views)

    def is_face(self, reject: float) -> bool:
        """Return whether a box counts as a face, given the probability that it is a non-face (`Scores.reject`)."""
        return self._threshold is None or reject <= self._threshold


def _settled(image: Kept) -> Kept:
    """Return an image that is found again from another working directory."""
    return os.path.abspath(image) if isinstance(image, str) else image  # noqa: PTH100
