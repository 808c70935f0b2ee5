"""Converting model files to int8 (static quantization) or half precision. Needs onnx, not torch.

docs/speed.md compares these settings with others (`lab/benchmarks/quantization.py`):

- Activations are 0 to 255 with a zero point, weights -64 to 64 times a scale per output channel. With 8-bit weights,
  processors without VNNI instructions add two products in 16 bits, which can overflow (onnxruntime, "Quantize ONNX
  models", on reduce_range).
- A quantized operator is stored as the float operator between DequantizeLinear and QuantizeLinear. onnxruntime replaces
  it by an integer operator while loading, and other runtimes read the same file.
- A tensor's range is its minimum and maximum on the calibration faces (Jacob et al., "Quantization and training of
  neural networks for efficient integer-arithmetic-only inference", CVPR 2018, section 3).
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mien.core.errors import ModelError
from mien.inference.model import INPUT_NAME, OnnxModel, optimize_model

# Operators of convolutional networks that have an integer kernel. Matrix products stay in float: here they are Fourier
# transforms and attention, which lose more than they gain.
QUANTIZED = ("Conv", "Gemm", "Add", "Relu", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat")
BATCH = 64
TOLERANCE = 1e-3


def quantize(model: bytes, faces: NDArray[np.float32], source: str = "model") -> bytes:
    """Return a model quantized to int8 where possible.

    Args:
        model: The bytes of an .onnx file; its weights may be stored in 8 or 16 bits.
        faces: Training faces for the calibration, (n, C, S, S), normalized: what `to_batch` returns.
        source: The model's name in errors.

    Raises:
        ModelError: There are no faces, or the network has nothing to quantize.
    """
    if len(faces) == 0:
        raise ModelError(f"{source} cannot be quantized with 0 faces; expected training faces.")
    return _convert(model, source, lambda network: _quantize(network, faces, source))


def halve(model: bytes, source: str = "model") -> bytes:
    """Return a model in half precision; its input and output stay 32-bit.

    Args:
        model: The bytes of an .onnx file; its weights may be stored in 8 or 16 bits.
        source: The model's name in errors.
    """
    return _convert(model, source, _halve)


def check_parity(model: OnnxModel, faces: NDArray[np.float32]) -> None:
    """Check that a converted model gives finite logits, and the same for a face alone and in a batch.

    Args:
        model: The converted model.
        faces: (n, C, S, S), normalized; the first eight are scored.

    Raises:
        ModelError: A logit is not finite, or differs by more than 1e-3 between batches of 1 and of 8.
    """
    together = model.predict(faces[:8]).logits
    alone = np.concatenate([model.predict(face[None]).logits for face in faces[:8]])
    difference = float(np.abs(together - alone).max())
    if not difference <= TOLERANCE:
        raise ModelError(
            f"Not exported: a face's logits differ by {difference:.2g} alone and in a batch, more than {TOLERANCE:g}."
        )


def _convert(model: bytes, source: str, convert: Callable[[Any], Any]) -> bytes:
    # both conversions expect 32-bit weights and folded constants
    plain = onnx.load_from_string(optimize_model(model, source))
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before the tools are imported
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # onnxruntime recommends steps that are done already
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            converted = convert(plain)
    finally:
        logging.disable(before)
    content: bytes = converted.SerializeToString()
    return content


class CalibrationFaces:
    """Faces (n, C, S, S) in batches, as onnxruntime's calibration reads them."""

    def __init__(self, faces: NDArray[np.float32]) -> None:
        self._batches: Iterator[dict[str, NDArray[np.float32]]] = (
            {INPUT_NAME: faces[start : start + BATCH]} for start in range(0, len(faces), BATCH)
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next batch by the input's name; None at the end."""
        return next(self._batches, None)


def _quantize(network: Any, faces: NDArray[np.float32], source: str) -> Any:
    if not {node.op_type for node in network.graph.node} & {"Conv", "Gemm"}:
        raise ModelError(f"{source} has no convolution and no linear layer to quantize.")
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        path = Path(folder) / "quantized.onnx"
        quantize_static(
            network,
            str(path),
            CalibrationFaces(faces),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(path)


def _halve(network: Any) -> Any:
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import convert_float_to_float16

    # the casts of the inputs are appended, but must come first
    halved = ONNXModel(convert_float_to_float16(network, keep_io_types=True))
    halved.topological_sort()
    return halved.model
