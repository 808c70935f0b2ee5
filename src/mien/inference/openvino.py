"""Runs a network by OpenVINO instead of onnxruntime. Needs the `openvino` extra."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import openvino
from numpy.typing import NDArray


class OpenvinoSession:
    """A compiled network, with the one method of onnxruntime's session that is used. Safe to share between threads."""

    def __init__(self, data: bytes, threads: int) -> None:
        """Compile a network for the CPU.

        Args:
            data: The bytes of an .onnx file.
            threads: CPU threads of one forward pass.

        Raises:
            RuntimeError: OpenVINO cannot read or run it.
        """
        core = openvino.Core()
        # left alone, it calculates in bfloat16 where the processor can, and answers differ from onnxruntime's
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._network = core.compile_model(core.read_model(data, b""), "CPU", settings)
        self._requests = threading.local()

    def run(self, outputs: list[str], inputs: dict[str, NDArray[np.float32]]) -> list[Any]:
        """Return the named outputs as arrays of their own."""
        # a request belongs to one thread: another's answer would be written over it
        if not hasattr(self._requests, "own"):
            self._requests.own = self._network.create_infer_request()
        found = self._requests.own.infer(inputs)
        return [np.array(found[name]) for name in outputs]
