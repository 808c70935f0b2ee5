"""Runs a network with OpenVINO instead of onnxruntime. Requires the extra `openvino`."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray


class OpenvinoSession:
    """A compiled network with the one method of onnxruntime's session that is used. Safe to share between threads."""

    def __init__(self, data: bytes, threads: int) -> None:
        """Compile the bytes of an .onnx file for that many CPU threads; `RuntimeError` if OpenVINO cannot run it."""
        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",  # the default may be bfloat16: results unlike onnxruntime's
        }
        self._network = core.compile_model(core.read_model(data, b""), "CPU", settings)
        self._requests = threading.local()

    def run(self, outputs: list[str], inputs: dict[str, NDArray[np.float32]]) -> list[Any]:
        """Return copies of the named outputs."""
        if not hasattr(self._requests, "own"):  # one per thread: requests cannot be shared
            self._requests.own = self._network.create_infer_request()
        found = self._requests.own.infer(inputs)
        return [np.array(found[name]) for name in outputs]
