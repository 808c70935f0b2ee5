"""ResNet-18 as an .onnx file in memory: the reference for latencies and memory.

It is the standard network (3 x 224 x 224 in) with seven outputs and with batch normalisation folded into the
convolutions: 11,175,303 parameters, 1.81 billion multiply-adds. Its weights are random, as speed does not depend on
them. The bytes are written here, so that a benchmark needs neither torch nor the onnx package. They contain a model
card, so that the network is run like every other one.

Sources: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, Table 1; the wire format and its field
numbers: Protocol Buffers encoding and onnx.proto3 of ONNX 1.17 (IR version 8, operator set 17).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mien.core.card import METADATA_KEY, CropSpec, InputSpec, ModelCard
from mien.core.expressions import FER2013_LABELS

CARD = ModelCard(
    name="ResNet-18 (untrained)",
    network="resnet18",
    labels=FER2013_LABELS,
    input=InputSpec(size=224, channels=3),
    crop=CropSpec(),
)
WIDTHS = (64, 128, 256, 512)
BLOCKS_PER_STAGE = 2

# TensorProto.DataType.FLOAT; AttributeProto.AttributeType.INT and INTS
_FLOAT, _INT, _INTS = 1, 2, 7


def resnet18_onnx(seed: int = 0) -> bytes:
    """Return an untrained ResNet-18: `images` (N, 3, 224, 224) in, `logits` (N, 7) out, both float32."""
    graph = Graph(seed)
    x = graph.add("Relu", [graph.convolve("images", (CARD.input.channels, WIDTHS[0]), kernel=7, stride=2)])
    x = graph.add("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = WIDTHS[0]
    for stage, width in enumerate(WIDTHS):
        for block in range(BLOCKS_PER_STAGE):
            stride = 2 if stage > 0 and block == 0 else 1
            y = graph.add("Relu", [graph.convolve(x, (channels, width), 3, stride)])
            y = graph.convolve(y, (width, width), 3)
            shortcut = x if (channels, stride) == (width, 1) else graph.convolve(x, (channels, width), 1, stride)
            x = graph.add("Relu", [graph.add("Add", [y, shortcut])])
            channels = width
    return graph.to_model(x, channels, CARD)


class Graph:
    """An ONNX graph under construction: encoded nodes and random weights."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[bytes] = []
        self._weights: list[bytes] = []

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Sequence[int] | int) -> str:
        """Append a node and return the name of its output."""
        output = output or f"{operator.lower()}_{len(self._nodes)}"
        node = [_text(1, name) for name in inputs] + [_text(2, output), _text(4, operator)]
        for name, value in attributes.items():
            if isinstance(value, int):
                content = _number(3, value) + _number(20, _INT)
            else:
                content = b"".join(_number(8, part) for part in value) + _number(20, _INTS)
            node.append(_message(5, _text(1, name) + content))
        self._nodes.append(b"".join(node))
        return output

    def parameter(self, shape: tuple[int, ...], fan_in: int = 0) -> str:
        """Append a weight with He's variance 2 / `fan_in`, or zeros for 0, and return its name."""
        scale = math.sqrt(2 / fan_in) if fan_in else 0.0
        name = f"parameter_{len(self._weights)}"
        self.constant(name, scale * self._random.standard_normal(shape, dtype=np.float32))
        return name

    def constant(self, name: str, values: np.ndarray) -> str:
        """Append a float constant unless its name is there already; return the name."""
        dims = b"".join(_number(1, side) for side in values.shape)
        encoded = dims + _number(2, _FLOAT) + _text(8, name) + _message(9, values.astype("<f4").tobytes())
        if encoded not in self._weights:
            self._weights.append(encoded)
        return name

    def convolve(self, x: str, widths: tuple[int, int], kernel: int, stride: int = 1, group: int = 1) -> str:
        """Append a convolution with bias, padded by half a kernel, from and to so many channels."""
        inside, width = widths[0] // group, widths[1]
        weight = self.parameter((width, inside, kernel, kernel), fan_in=inside * kernel * kernel)
        return self.add(
            "Conv",
            [x, weight, self.parameter((width,))],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=group,
        )

    def to_model(self, x: str, channels: int, card: ModelCard) -> bytes:
        """Append the pooling of `x` and the linear layer on its channels, and return the ModelProto."""
        x = self.add("Flatten", [self.add("GlobalAveragePool", [x])])
        weight = self.parameter((channels, card.outputs), fan_in=channels)
        self.add("Gemm", [x, weight, self.parameter((card.outputs,))], output="logits")
        side = card.input.size
        graph = (
            b"".join(_message(1, node) for node in self._nodes)
            + _text(2, card.network)
            + b"".join(_message(5, weight) for weight in self._weights)
            + _message(11, _value_info("images", (card.input.channels, side, side)))
            + _message(12, _value_info("logits", (card.outputs,)))
        )
        operators = _text(1, "") + _number(2, 17)
        metadata = _text(1, METADATA_KEY) + _text(2, card.to_json())
        return _number(1, 8) + _text(2, "mien") + _message(7, graph) + _message(8, operators) + _message(14, metadata)


def _value_info(name: str, shape: tuple[int, ...]) -> bytes:
    """Encode name and type of a float tensor: any number of images of the given shape."""
    dims = _message(1, _text(2, "batch")) + b"".join(_message(1, _number(1, side)) for side in shape)
    return _text(1, name) + _message(2, _message(1, _number(1, _FLOAT) + _message(2, dims)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _message(field, content.encode())


def _varint(value: int) -> bytes:
    """Encode a non-negative integer, seven bits per byte, lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
