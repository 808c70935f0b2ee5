"""Explain the faces in images: find and crop them as for recognition, then explain each crop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import ModelError
from mien.core.image import cut_square, roll_to_undo, to_batch
from mien.core.paths import AnyPath
from mien.core.text import percent
from mien.core.types import Box, Face
from mien.explain.maps import ExplanationMap
from mien.explain.methods import PARTS, STAGE_METHODS, Explainer, check_name
from mien.inference.detectors.registry import DetectorSpec
from mien.inference.images import ImageLike, image_name, is_one_image, read_first, several
from mien.inference.model import OnnxModel
from mien.inference.model_files import model_files
from mien.inference.recognizer import Recognizer


@dataclass(frozen=True)
class ExplainedFace:
    """A face and its maps.

    Attributes:
        face: Its box, label and probabilities.
        square: The square that was cut around the box, in pixels of the image, before it is turned.
        crop: The network's input, (size, size) grey or (size, size, 3) RGB.
        label: The class that the maps explain.
        maps: One per method; for "parts", one per part.
        roll: By how many degrees the square is turned around its centre, clockwise; 0 for a nearly upright face.
    """

    face: Face
    square: Box
    crop: NDArray[np.uint8]
    label: str
    maps: tuple[ExplanationMap, ...]
    roll: float = 0.0

    def describe(self) -> str:
        """Return the predicted label, and the explained one if it differs, with their probabilities."""
        predicted = f"{self.face.wording} {percent(self.face.confidence)}"
        if self.label == self.face.label:
            return predicted
        return f"{predicted}; explained: {self.label} {percent(self.face.probabilities[self.label])}"

    def to_json(self, number: int) -> dict[str, object]:
        """Return the face as JSON values; `number` counts the faces of its image from 1.

        Positions are fractions of the crop's sides.
        """
        maps = []
        for one in self.maps:
            centre = one.centre_of_mass() if one.is_spatial else None
            maps.append(
                {
                    "method": one.method,
                    "layer": one.layer,
                    "label": one.label,
                    "size": one.values.shape,
                    "centre": None if centre is None else [round(value, 4) for value in centre],
                    "quarters": {k: round(share, 4) for k, share in one.quarters().items()} if centre else None,
                }
            )
        return {**self.face.to_json(number), "explained": self.label, "maps": maps}


@dataclass(frozen=True)
class ExplainedImage:
    """The explained faces of one image, from left to right; `pixels` is the image, (h, w, 3) RGB.

    If its file has several `frames` or pages, this is the first.
    """

    source: str
    pixels: NDArray[np.uint8] = field(repr=False)
    faces: list[ExplainedFace]
    frames: int = 1

    def to_json(self) -> dict[str, object]:
        """Return the image and its faces as JSON values."""
        height, width = self.pixels.shape[:2]
        faces = [face.to_json(number) for number, face in enumerate(self.faces, start=1)]
        return {"source": self.source, "image_width": width, "image_height": height, "faces": faces}


class FaceExplainer:
    """Finds the faces of images and explains them, one image at a time."""

    def __init__(  # noqa: PLR0913 - the options, by name
        self,
        explainer: Explainer,
        methods: Sequence[str] = (),
        layer: str | None = None,
        label: str | None = None,
        detector: DetectorSpec = "auto",
        *,
        use_rejection: bool = True,
    ) -> None:
        """Check the options and load the detector.

        Args:
            explainer: The network.
            methods: Names of methods; empty: the explainer's default, the first.
            layer: The stage for stage methods, the part or stage for "parts"; None: the last stage, and all parts.
            label: The class to explain; None: the most probable of each face.
            detector: As in `Recognizer`.
            use_rejection: Leave out boxes that the network rejects as non-faces.

        Raises:
            ModelError: The network has no such method, layer or label.
        """
        self.explainer = explainer
        self.methods = tuple(methods) or explainer.methods[:1]
        for method in self.methods:
            explainer.check_method(method)
        if layer is not None and not set(self.methods) & {*STAGE_METHODS, PARTS}:
            raise ModelError(
                f"Layer '{layer}' is given, but {', '.join(self.methods)} explains the input image; leave it out or "
                "name another method."
            )
        self.layer = layer
        if set(self.methods) & set(STAGE_METHODS):
            explainer.check_layer(layer)
        self.label = None if label is None else explainer.labels.index(check_name("label", label, explainer.labels))
        self.recognizer = Recognizer(explainer.model, detector, use_rejection=use_rejection)

    def explain_image(self, image: ImageLike, source: str | None = None) -> ExplainedImage:
        """Explain every face of an image.

        Args:
            image: As in `Recognizer.recognize`.
            source: The image's name; by default its path.

        Raises:
            ImageError: The image cannot be read.
            ModelError: "parts" is requested, but the network has no part with maps, or not the requested one.
        """
        name = image_name(image) if source is None else source
        pixels, frames = read_first(image, name)
        found = self.recognizer.find(pixels, name)
        faces = self.recognizer.classify([found])[0].faces
        if not faces:
            return ExplainedImage(name, pixels, [], frames)
        kept = {face.box for face in faces}
        crops = [crop for one, crop in zip(found.detections, found.crops, strict=True) if one.box in kept]
        images = to_batch(crops, self.explainer.card.input)
        own = [self.explainer.labels.index(face.label) for face in faces]
        labels = own if self.label is None else [self.label] * len(faces)
        by_method = [self._explain(images, method, labels) for method in self.methods]
        explained = [
            ExplainedFace(
                face,
                cut_square(face.box, self.recognizer.crop_spec, roll_to_undo(face.roll)),
                crops[i],
                self.explainer.labels[labels[i]],
                tuple(one for maps in by_method for one in maps[i]),
                roll_to_undo(face.roll),
            )
            for i, face in enumerate(faces)
        ]
        return ExplainedImage(name, pixels, explained, frames)

    def _explain(self, images: NDArray[np.float32], method: str, labels: Sequence[int]) -> list[list[ExplanationMap]]:
        if method != PARTS:
            layer = self.layer if method in STAGE_METHODS else None
            return [[one] for one in self.explainer.explain(images, method, layer, labels)]
        faces = self.explainer.parts(images)
        if self.layer is None:
            return faces
        chosen = [[one for one in maps if self.layer in (one.method, one.layer)] for maps in faces]
        if not chosen[0] and not set(self.methods) & set(STAGE_METHODS):
            names = [one.method for one in faces[0]]
            raise ModelError(f"No part or stage '{self.layer}' with a map of its own. Parts: {', '.join(names)}.")
        return chosen


def load_explainer(model: AnyPath, threads: int = 1) -> Explainer:
    """Load a network to explain.

    Args:
        model: A run folder, for all methods; or a model's name or .onnx file, for occlusion only.
        threads: CPU threads, at least 1; for a run folder this sets torch's threads for the whole process.

    Raises:
        MienError: There is no such model, or the folder holds no finished run.
    """
    if Path(model).is_dir() and str(model) not in model_files():
        from mien.explain.torch_explainer import load_run_explainer

        return load_run_explainer(Path(model), threads)
    loaded = OnnxModel.load(model, threads)
    return Explainer(loaded, loaded.source)


def explain(  # noqa: PLR0913 - the options, by name
    model: AnyPath | Explainer,
    images: ImageLike | Iterable[ImageLike],
    *,
    method: str | Sequence[str] = (),
    layer: str | None = None,
    label: str | None = None,
    detector: DetectorSpec = "auto",
) -> list[ExplainedImage]:
    """Show which regions of faces a network bases their apparent expressions on: `mien.explain`.

    Args:
        model: A run folder, a loaded explainer, or, for occlusion only, a model's name or .onnx file.
        images: One image or several, as in `Recognizer.recognize`.
        method: One or several of `mien.explain.methods.METHODS`; none: "gradcam", for an .onnx file "occlusion".
        layer: The stage to explain; None: the last.
        label: The class to explain; None: the most probable of each face.
        detector: How faces are found; "none": each image is one face.

    Returns:
        One result per image, in order.

    Raises:
        MienError: The model, an image, the method, the layer or the label cannot be used.

    Examples:
        >>> import numpy as np
        >>> import mien
        >>> (result,) = mien.explain("default", np.full((64, 64), 128, np.uint8), detector="none")
        >>> result.faces[0].maps[0].resized(112, 112).shape
        (112, 112)
    """
    explainer = model if isinstance(model, Explainer) else load_explainer(model)
    methods = (method,) if isinstance(method, str) else tuple(method)
    faces = FaceExplainer(explainer, methods, layer, label, detector)
    chosen = [cast(ImageLike, images)] if is_one_image(images) else several(cast(Iterable[ImageLike], images))
    return [faces.explain_image(image) for image in chosen]
