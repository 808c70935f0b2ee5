"""An expression network in an .onnx file, run by onnxruntime as its model card says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.core.card import ModelCard
from mien.core.errors import ModelError, did_you_mean

if TYPE_CHECKING:
    import onnxruntime

LARGEST_FILE = 512 * 2**20
INPUT_NAME = "images"
OUTPUT_NAME = "logits"
# How protobuf writes the key of a weight that lies in another file (onnx.proto, TensorProto.external_data).
EXTERNAL_WEIGHT = b"\x0a\x08location\x12"
NO_FOLDER = os.devnull


@dataclass(frozen=True)
class Scores:
    """What a network says about n faces.

    `logits` (n, outputs) is its raw output; `probabilities` (n, labels) sum to 1 over the labels;
    `reject` (n,) is the probability that the crop is no face, 0 for a network that cannot reject.
    """

    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    reject: NDArray[np.float32]


class ExpressionModel:
    """A loaded network and its card. Safe to share between threads."""

    def __init__(self, data: bytes, source: str, threads: int = 1) -> None:
        """Load a network from the bytes of an .onnx file; see `load` for the errors."""
        self.source = source
        self._session = _session(data, source, threads)
        self.card = ModelCard.from_metadata(self._session.get_modelmeta().custom_metadata_map, source)
        self._check_outputs()

    @classmethod
    def load(cls, name_or_path: str | Path, threads: int = 1) -> ExpressionModel:
        """Load a shipped model by its name or any model by its file.

        A name beats a file that is called the same, unless a path separator or the ending .onnx shows
        that a file is meant.

        Args:
            name_or_path: `default`, or an .onnx file written by `mien export`.
            threads: CPU threads of one forward pass, at least 1.

        Raises:
            ModelError: No such name or file, no ONNX, no card, a card that does not fit the network,
                weights in another file, or more than 512 MiB.
        """
        if threads < 1:
            raise ModelError(f"threads is {threads}; expected at least 1.")
        data, source = _read(name_or_path)
        return cls(data, source, threads)

    def predict(self, faces: NDArray[np.float32]) -> Scores:
        """Score faces in one forward pass.

        Args:
            faces: (n, channels, size, size), normalised: what `to_batch(crops, model.card.input)` returns.

        Returns:
            The scores; with n = 0 all of them are empty.
        """
        labels = len(self.card.labels)
        logits = np.zeros((0, self.card.outputs), dtype=np.float32) if len(faces) == 0 else self._run(faces)
        can_reject = self.card.reject_threshold is not None
        return Scores(
            logits=logits,
            probabilities=softmax(logits[:, :labels] / np.float32(self.card.temperature)),
            reject=softmax(logits)[:, -1] if can_reject else np.zeros(len(logits), dtype=np.float32),
        )

    def _run(self, faces: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs: list[Any] = self._session.run([OUTPUT_NAME], {INPUT_NAME: faces})
        return np.asarray(outputs[0], dtype=np.float32)

    def _check_outputs(self) -> None:
        """Score two black faces, so that a card that does not fit shows now and not on the first picture."""
        spec = self.card.input
        try:
            shape = self._run(np.zeros((2, spec.channels, spec.size, spec.size), dtype=np.float32)).shape
        except Exception as error:  # onnxruntime's errors share no base class
            raise ModelError(
                f"{self.source} does not take (n, {spec.channels}, {spec.size}, {spec.size}) float32 named "
                f"'{INPUT_NAME}' and give '{OUTPUT_NAME}', as its card says ({_first_line(error)})."
            ) from None
        if shape != (2, self.card.outputs):
            raise ModelError(
                f"{self.source} gives {shape[-1]} outputs a face, but its card says {self.card.outputs} "
                f"({', '.join(self.card.labels.names)}); export the model again."
            )


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return exp(logits) / sum(exp(logits)) over the last axis, (n, k), safe for large numbers."""
    if logits.size == 0:
        return logits
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def shipped_models() -> list[str]:
    """Return the names of the models inside the package."""
    assets = resources.files("mien") / "assets"
    if not assets.is_dir():
        return []
    return sorted(file.name.removesuffix(".onnx") for file in assets.iterdir() if file.name.endswith(".onnx"))


def _read(name_or_path: str | Path) -> tuple[bytes, str]:
    """Return the bytes of a model and what to call it in errors."""
    path, name = Path(name_or_path), str(name_or_path)
    is_name = isinstance(name_or_path, str) and path.name == name and not name.endswith(".onnx")
    if is_name and name in shipped_models():
        return (resources.files("mien") / "assets" / f"{name}.onnx").read_bytes(), f"model '{name}'"
    if is_name and not path.exists():
        if name == "default":
            raise ModelError("This installation has no default model; name an .onnx file with --model FILE.")
        known = shipped_models()
        raise ModelError(
            f"No model named '{name}'.{did_you_mean(name, known)} "
            f"Models: {', '.join(known) or 'none'}, or an .onnx file written by `mien export`."
        )
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such model file.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if len(data) > LARGEST_FILE:
        raise ModelError(f"{path} is larger than {LARGEST_FILE // 2**20} MiB; expected an expression network.")
    return data, str(path)


def _session(data: bytes, source: str, threads: int) -> onnxruntime.InferenceSession:
    """Start onnxruntime on one network: quiet, offline, and with no more threads than asked for."""
    if EXTERNAL_WEIGHT in data:
        raise ModelError(f"{source} keeps weights in another file; export it as one file.")
    # The variable must be set before the import: onnxruntime then writes nothing under the user's cache.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Weights in another file, if the search above was outwitted, are sought where nothing can lie.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NO_FOLDER)
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelError(f"{source} is not an ONNX model that can be run ({_first_line(error)}).") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
