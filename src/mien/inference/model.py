"""Expression networks: the protocol, and the networks in .onnx files, each used as its model card says."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mien.core.card import ModelCard
from mien.core.errors import MissingExtraError, ModelError, did_you_mean
from mien.core.paths import AnyPath
from mien.core.text import first_line
from mien.inference.model_files import read_model
from mien.inference.onnx_graph import with_features
from mien.inference.onnx_session import PROVIDERS, start_session

if TYPE_CHECKING:
    from mien.inference.openvino import OpenvinoSession

INPUT_NAME = "images"
OUTPUT_NAME = "logits"

Run: TypeAlias = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A network: images (n, channels, size, size) -> logits (n, outputs)."""


@dataclass(frozen=True)
class Scores:
    """A network's output for n faces.

    `logits` (n, outputs) are its raw output; `probabilities` (n, labels) sum to 1 over the labels; `reject` (n,) is the
    probability that the crop is a non-face, 0 for a network that cannot reject.
    """

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    reject: NDArray[np.float32]

    @classmethod
    def of(cls, logits: NDArray[np.float32], card: ModelCard) -> Scores:
        """Return the scores of logits (n, outputs) under a card's labels and temperature."""
        can_reject = card.reject_threshold is not None
        return cls(
            logits=logits,
            probabilities=softmax(logits[:, : len(card.labels)] / np.float32(card.temperature)),
            reject=softmax(logits)[:, -1] if can_reject else np.zeros(len(logits), dtype=np.float32),
        )


class Model(Protocol):
    """An expression network, whatever runs it. Instances are safe to share between threads."""

    @property
    def card(self) -> ModelCard:
        """The description of the network: its labels, input, crop and scores."""
        ...

    def predict(self, images: NDArray[np.float32]) -> Scores:
        """Score faces in one forward pass.

        Args:
            images: (n, channels, size, size), normalized: what `to_batch(crops, card.input)` returns.

        Returns:
            The scores; with n = 0 all of them are empty.
        """
        ...


_ALIASES = {"gpu": "cuda", "nvidia": "cuda", "intel": "openvino"}


class OnnxModel:
    """A `Model` in an .onnx file, run by onnxruntime or OpenVINO."""

    def __init__(self, data: bytes, source: str, threads: int = 1, provider: str = "cpu") -> None:
        """Load a network from the bytes of an .onnx file; see `load` for the errors."""
        if provider not in PROVIDERS:
            hint = did_you_mean(_ALIASES.get(provider.lower(), provider.lower()), PROVIDERS)
            raise ModelError(f"No provider named '{provider}'.{hint} Providers: {', '.join(PROVIDERS)}.")
        self.source = source
        self._arguments = data, source, threads, provider  # onnxruntime's session holds the same bytes
        # onnxruntime loads the file for OpenVINO too, which does not return the card and accepts bad files.
        session = start_session(data, source, threads, "cpu" if provider == "openvino" else provider)
        self.card = ModelCard.from_metadata(session.get_modelmeta().custom_metadata_map, source)
        self._session: Any = _openvino(data, source, threads) if provider == "openvino" else session
        check_outputs(self._run, self.card, source)

    def __reduce__(self) -> tuple[type[OnnxModel], tuple[Any, ...]]:
        """Return what is pickled: the content of the file, which is loaded again."""
        return type(self), self._arguments

    @classmethod
    def load(cls, name_or_path: AnyPath, threads: int = 1, provider: str = "cpu") -> OnnxModel:
        """Load a model by its name (see `model_files`), from a file or from a run folder.

        A name takes precedence over a file of the same name; a path separator or the ending .onnx means a file.

        Args:
            name_or_path: A name from `model_files`, such as `default`, an .onnx file, or a run's folder with one.
            threads: CPU threads of one forward pass, at least 1.
            provider: The runtime and device: `cpu`, `cuda` (extra `cuda`) or `openvino` (extra `openvino`).

        Raises:
            ModelError: No such name, file or provider; not an ONNX file; no card, or one that does not fit the network;
                weights in another file; more than 512 MiB; or a provider that does not start.
            MissingExtraError: The provider is not installed.
        """
        if threads < 1:
            raise ModelError(f"threads is {threads}; expected at least 1.")
        data, source = read_model(name_or_path)
        return cls(data, source, threads, provider)

    def predict(self, images: NDArray[np.float32]) -> Scores:
        """Score faces in one forward pass; see `Model.predict`."""
        return to_scores(self._run, images, self.card)

    def features(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the last linear layer gets, (n, features); onnxruntime runs the network, on the CPU or CUDA.

        Args:
            images: As in `predict`.

        Raises:
            ModelError: The network does not end in a linear layer.
        """
        session, name = self._with_features
        spec = self.card.input
        given = images if len(images) else np.zeros((1, spec.channels, spec.size, spec.size), dtype=np.float32)
        values = np.asarray(session.run([name], {INPUT_NAME: given})[0], dtype=np.float32)
        return values.reshape(len(given), -1)[: len(images)]

    @cached_property
    def _with_features(self) -> tuple[Any, str]:
        data, source, threads, provider = self._arguments
        data, name = with_features(data, source, OUTPUT_NAME)
        return start_session(data, source, threads, "cuda" if provider == "cuda" else "cpu"), name

    def _run(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs: list[Any] = self._session.run([OUTPUT_NAME], {INPUT_NAME: images})
        return np.asarray(outputs[0], dtype=np.float32)


def open_model(model: AnyPath | Model, threads: int = 1) -> Model:
    """Load a model by name or from a file, or return a loaded one; `ModelError` as in `OnnxModel.load`."""
    if isinstance(model, str | os.PathLike):
        return OnnxModel.load(model, threads)
    if not (hasattr(model, "card") and hasattr(model, "predict")):
        raise ModelError(
            f"Got a model of type {type(model).__name__}; expected a name, an .onnx file, a run folder or a `Model`."
        )
    return model


def to_scores(run: Run, images: NDArray[np.float32], card: ModelCard) -> Scores:
    """Return the scores of n images; `run` is not called if n is 0."""
    logits = np.zeros((0, card.outputs), dtype=np.float32) if len(images) == 0 else run(images)
    return Scores.of(logits, card)


def check_outputs(run: Run, card: ModelCard, source: str) -> None:
    """Run the network once, so that a card that does not fit it is a `ModelError` while loading, not at an image."""
    spec = card.input
    try:
        shape = run(np.zeros((2, spec.channels, spec.size, spec.size), dtype=np.float32)).shape
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelError(
            f"{source} does not take (n, {spec.channels}, {spec.size}, {spec.size}) float32 named "
            f"'{INPUT_NAME}' and return '{OUTPUT_NAME}', as its card says ({first_line(error)})."
        ) from None
    if shape != (2, card.outputs):
        raise ModelError(
            f"{source} returns logits of shape {shape} for 2 faces; its card says (2, {card.outputs}), for "
            f"{', '.join(card.labels.names)}{' and non-faces' * (card.reject_threshold is not None)}. "
            "Export the model again."
        )


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return exp(logits) / sum(exp(logits)) over the last axis, (n, k), without overflow."""
    if logits.size == 0:
        return logits
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def optimize_model(data: bytes, source: str) -> bytes:
    """Return the network in plain 32-bit ONNX operators, weights dequantized and constants folded; needs no card."""
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        path = Path(folder) / "plain.onnx"
        start_session(data, source, 1, plain=path)
        return path.read_bytes()


def _openvino(data: bytes, source: str, threads: int) -> OpenvinoSession:
    try:
        from mien.inference.openvino import OpenvinoSession
    except ModuleNotFoundError:
        raise MissingExtraError("Provider 'openvino'", "openvino") from None
    try:
        return OpenvinoSession(data, threads)
    except Exception as error:  # OpenVINO raises RuntimeErrors, and whatever its plug-ins raise
        raise ModelError(f"{source} cannot be run by OpenVINO ({first_line(error)}); use 'cpu'.") from None
