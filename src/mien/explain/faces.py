"""From pictures to explained faces: found and cropped as recognition does it, then explained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import ModelError
from mien.core.image import cut_square, to_batch
from mien.core.types import Box, Face
from mien.explain.maps import ExplanationMap
from mien.explain.methods import PARTS, STAGE_METHODS, Explainer, load_explainer
from mien.inference.detectors.registry import DetectorSpec
from mien.inference.recognizer import ImageLike, Recognizer, image_name, read_pixels


@dataclass(frozen=True)
class Question:
    """What is asked of every face.

    Attributes:
        methods: Names of methods; empty: the explainer's first.
        layer: The stage for methods that look at one, or the part or the stage of "parts"; None: the last, and all.
        label: The class to explain; None: the most probable of each face.
    """

    methods: tuple[str, ...] = ()
    layer: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class ExplainedFace:
    """A face and why it is taken for what it is.

    Attributes:
        face: Its box, label and probabilities.
        square: What was cut around the box, in pixels of the picture.
        crop: What the network saw, (size, size) grey or (size, size, 3) RGB.
        label: The class that the maps explain.
        maps: One a method; for "parts" one a part.
    """

    face: Face
    square: Box
    crop: NDArray[np.uint8]
    label: str
    maps: tuple[ExplanationMap, ...]

    @property
    def probability(self) -> float:
        """The probability of the explained class."""
        return self.face.probabilities[self.label]

    def to_json(self, number: int) -> dict[str, object]:
        """Return the image's face of that number as JSON values; places are fractions of the crop's sides."""
        maps = []
        for one in self.maps:
            centre = one.centre_of_mass() if one.is_spatial else None
            maps.append(
                {
                    "method": one.method,
                    "layer": one.layer,
                    "label": one.label,
                    "size": list(one.values.shape),
                    "centre": None if centre is None else [round(place, 4) for place in centre],
                    "quarters": {k: round(share, 4) for k, share in one.quarters().items()} if centre else None,
                }
            )
        return {**self.face.to_json(number), "explained": self.label, "maps": maps}


@dataclass(frozen=True)
class ExplainedImage:
    """The explained faces of one picture, from left to right; `pixels` is the picture, (h, w, 3) RGB."""

    source: str
    pixels: NDArray[np.uint8] = field(repr=False)
    faces: list[ExplainedFace]

    def to_json(self) -> dict[str, object]:
        """Return the picture as one object of `--format json`."""
        height, width = self.pixels.shape[:2]
        faces = [face.to_json(number) for number, face in enumerate(self.faces, start=1)]
        return {"source": self.source, "image_width": width, "image_height": height, "faces": faces}


class FaceExplainer:
    """Finds the faces of pictures and explains them, one picture after the other."""

    def __init__(
        self,
        explainer: Explainer,
        question: Question = Question(),
        detector: DetectorSpec = "auto",
        *,
        use_rejection: bool = True,
    ) -> None:
        """Check the question and load the detector.

        Args:
            explainer: The network.
            question: What is asked.
            detector: As `Recognizer` has it.
            use_rejection: Leave out boxes that the network takes for no face.

        Raises:
            ModelError: The network has no such method, layer or label.
        """
        self.explainer = explainer
        self.methods = question.methods or explainer.methods[:1]
        for method in self.methods:
            explainer.check_method(method)
        uses_layer = [method for method in self.methods if method in (*STAGE_METHODS, PARTS)]
        if question.layer is not None and not uses_layer:
            raise ModelError(
                f"--layer {question.layer} is given, but {', '.join(self.methods)} looks at the picture itself; leave "
                "it out or name another method."
            )
        self.layer = question.layer
        if any(method in STAGE_METHODS for method in self.methods):
            explainer.check_layer(self.layer)
        self.label = None if question.label is None else explainer.label_number(question.label)
        self.recognizer = Recognizer(explainer.model, detector, use_rejection=use_rejection)

    def explain_image(self, pixels: NDArray[np.uint8], source: str = "image") -> ExplainedImage:
        """Explain every face of an upright RGB picture (h, w, 3).

        Raises:
            ModelError: The network has no parts with maps, or not the one that was asked for.
        """
        faces = self.recognizer.recognize(pixels, source=source).faces
        if not faces:
            return ExplainedImage(source, pixels, [])
        crops = [self.recognizer.crop(pixels, face.box) for face in faces]
        images = to_batch(crops, self.explainer.card.input)
        own = [self.explainer.labels.index(face.label) for face in faces]
        labels = own if self.label is None else [self.label] * len(faces)
        by_method = [self._maps(images, method, labels) for method in self.methods]
        crop = self.recognizer.crop_spec
        return ExplainedImage(
            source,
            pixels,
            [
                ExplainedFace(
                    face,
                    cut_square(face.box, crop),
                    crops[i],
                    self.explainer.labels[labels[i]],
                    tuple(one for maps in by_method for one in maps[i]),
                )
                for i, face in enumerate(faces)
            ],
        )

    def _maps(self, images: NDArray[np.float32], method: str, labels: Sequence[int]) -> list[list[ExplanationMap]]:
        if method != PARTS:
            layer = self.layer if method in STAGE_METHODS else None
            return [[one] for one in self.explainer.explain(images, method, layer, labels)]
        faces = self.explainer.parts(images)
        if self.layer is None:
            return faces
        chosen = [[one for one in maps if self.layer in (one.method, one.layer)] for maps in faces]
        if not chosen[0] and not any(name in STAGE_METHODS for name in self.methods):
            names = [one.method for one in faces[0]]
            raise ModelError(f"No part or stage '{self.layer}' with maps of its own. Parts: {', '.join(names)}.")
        return chosen


def explain(  # noqa: PLR0913 - what is asked, by name
    model: str | Path | Explainer,
    images: ImageLike | Sequence[ImageLike],
    *,
    method: str | Sequence[str] = (),
    layer: str | None = None,
    label: str | None = None,
    detector: DetectorSpec = "auto",
) -> list[ExplainedImage]:
    """Say where in the faces of pictures a network sees their apparent expressions: `mien.explain`.

    Args:
        model: A run folder of `mien train`, an .onnx file or a model's name (both for occlusion only), or an explainer
            that is loaded already.
        images: A picture or several, as `Recognizer.recognize` takes them.
        method: One method or several of `mien.explain.methods.METHODS`; none: "gradcam", of an .onnx file "occlusion".
        layer: The network's stage to look at; None: the last.
        label: The class to explain; None: the most probable of each face.
        detector: How faces are found; "none": each picture is a face.

    Returns:
        One result a picture, in order.

    Raises:
        MienError: The model, a picture, the method, the layer or the label cannot be used.

    Example:
        >>> import mien
        >>> (result,) = mien.explain("results/runs/mine", "face.jpg", layer="stage3")  # doctest: +SKIP
        >>> result.faces[0].maps[0].resized(112, 112).shape  # doctest: +SKIP
        (112, 112)
    """
    explainer = model if isinstance(model, Explainer) else load_explainer(model)
    methods = (method,) if isinstance(method, str) else tuple(method)
    asked = FaceExplainer(explainer, Question(methods, layer, label), detector)
    single = isinstance(images, str | os.PathLike | bytes | np.ndarray)
    pictures: Sequence[Any] = [images] if single else cast(Sequence[Any], images)
    names = map(image_name, pictures)
    return [
        asked.explain_image(read_pixels(picture, name), name) for picture, name in zip(pictures, names, strict=True)
    ]


def place_on_image(
    one: ExplanationMap, square: Box, height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Put a face's map where the face is.

    Args:
        one: The map of what was cut at `square`.
        square: In pixels of the picture; it may reach past the border.
        height: Of the picture.
        width: Of the picture.

    Returns:
        The values (height, width), 0 outside the square, and which pixels have their middle in it.
    """
    values = one.window(
        (-square.y / square.height, -square.x / square.width),
        ((height - square.y) / square.height, (width - square.x) / square.width),
        height,
        width,
    )
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    is_inside = ((rows >= square.y) & (rows < square.y + square.height))[:, None] & (
        (columns >= square.x) & (columns < square.x + square.width)
    )
    return np.where(is_inside, values, np.float32(0)), is_inside
