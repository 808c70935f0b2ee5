"""Read .onnx files and start onnxruntime on them: the only place that does, for expression networks and detectors."""

from __future__ import annotations

import os
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from mien.core.errors import MissingExtraError, ModelError
from mien.core.text import first_line

if TYPE_CHECKING:
    import onnxruntime

LARGEST_FILE = 512 * 2**20
# The bytes that mark a weight stored in another file (onnx.proto, TensorProto.external_data).
EXTERNAL_WEIGHT = b"\x0a\x08location\x12"
NO_FOLDER = os.devnull
# The bytes of the operator that quantizes activations (NodeProto.op_type). Only int8 files have it: files in which just
# the weights have 8 bits have its inverse, DequantizeLinear.
QUANTIZE = b"\x22\x0eQuantizeLinear"
# Execution providers: mien's names and onnxruntime's; OpenVINO is a runtime of its own.
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "openvino": ""}


def read_file(path: Traversable, source: str) -> bytes:
    """Return the content of an .onnx file.

    Raises:
        ModelError: There is no such file, it is a folder, cannot be read, or has more than 512 MiB.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ModelError(f"{source}: no such model file.") from None
    except IsADirectoryError:
        raise ModelError(f"{source} is a folder; expected an .onnx file, such as a run's model.onnx.") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{source} cannot be read ({getattr(error, 'strerror', None) or error}).") from None
    if len(data) > LARGEST_FILE:
        raise ModelError(
            f"{source} is larger than {LARGEST_FILE // 2**20} MiB; expected an expression network or a detector."
        )
    return data


def start_session(
    data: bytes, source: str, threads: int = 1, provider: str = "cpu", plain: Path | None = None
) -> onnxruntime.InferenceSession:
    """Start onnxruntime on one network: quiet, offline, and with no more threads than given.

    The settings are the fastest while other programs use the cores too (results/onnxruntime_settings.json).

    Args:
        data: The content of an .onnx file.
        source: The file's name in errors.
        threads: CPU threads of one forward pass, at least 1.
        provider: One of `PROVIDERS`, except `openvino`.
        plain: Apply only optimizations that keep to standard operators, and write the result to this file.

    Raises:
        ModelError: Weights in another file, not an ONNX model, or a provider that does not start.
        MissingExtraError: The provider is not installed.
    """
    if EXTERNAL_WEIGHT in data:
        raise ModelError(f"{source} keeps weights in another file; export it as one file.")
    # Set before the import, this keeps onnxruntime from writing to the user's cache.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    if PROVIDERS[provider] not in onnxruntime.get_available_providers():
        raise MissingExtraError(f"Provider '{provider}'", provider)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # If only the weights have 8 bits, dequantize them once while loading: onnxruntime would do so for every face.
    options.add_session_config_entry("session.disable_quant_qdq", "0" if QUANTIZE in data else "1")
    # Should a file get past the check above, its external weights are looked for in a folder that cannot exist.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", NO_FOLDER)
    if plain is not None:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(plain)
    # operators that another provider lacks run on the CPU
    providers = list(dict.fromkeys([PROVIDERS[provider], PROVIDERS["cpu"]]))
    try:
        session = onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:  # onnxruntime's errors share no base class
        raise ModelError(f"{source} is not an ONNX model that can be run ({first_line(error)}).") from None
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise ModelError(f"Provider '{provider}' does not start; check its driver and libraries, or use 'cpu'.")
    return session


def giving_back_memory() -> onnxruntime.RunOptions:
    """Return options for a session's `run` with which it gives unused memory back afterwards, instead of keeping it."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options
