"""A tiny face detector whose answers are known beforehand: each bright spot of 8 x 8 pixels is a face."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from mien.core.detector_card import METADATA_KEY, DetectorCard

SIDE = 28  # of a spot's face, in pixels of the level that shows the spot with 8
SCORE = 1 / (1 + math.exp(-6))  # of a white spot on black


def tiny_detector_card() -> DetectorCard:
    """Return the card of the tiny detector."""
    return DetectorCard(name="spots", slope=2.0, offset=-6.0, threshold=0.6)


def write_tiny_detector(path: Path, roll: float = 0.0, card: DetectorCard | None = None) -> Path:
    """Write a detector that says logit = 20 * brightness - 14 of each cell, with a roll in degrees for all faces."""
    weight, bias = np.zeros((6, 1, 8, 8), np.float32), np.zeros(6, np.float32)
    weight[0], bias[0] = 20 / 255 / 64, -14
    bias[4:] = math.sin(math.radians(roll)), math.cos(math.radians(roll))
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Conv", ["pixels", "weight", "bias"], ["maps"], strides=[8, 8]),
        ],
        "spots",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 1, "h", "w"])],
        [helper.make_tensor_value_info("maps", TensorProto.FLOAT, ["n", 6, "rows", "columns"])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(network, {METADATA_KEY: (card or tiny_detector_card()).to_json()})
    onnx.save(network, path)
    return path


def spots(*corners: tuple[int, int], size: int = 8, shape: tuple[int, int] = (160, 240)) -> NDArray[np.uint8]:
    """Return a black RGB image (h, w, 3) with white squares at (x, y); multiples of `size` fill a cell."""
    image = np.zeros((*shape, 3), np.uint8)
    for x, y in corners:
        image[y : y + size, x : x + size] = 255
    return image
