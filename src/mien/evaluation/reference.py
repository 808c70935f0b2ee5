"""ResNet-18 and MobileNetV2 as .onnx files in memory: the yardsticks that latencies are divided by.

They are the standard networks (3 x 224 x 224 in) with seven outputs and with batch normalisation folded into the
convolutions: 11,175,303 and 2,215,783 parameters, 1.81 and 0.30 billion multiply-adds. Their weights are random, for
speed does not depend on them. The bytes are written here, so that a benchmark needs neither torch nor the onnx
package, and hold a model card, so that the network is run exactly as every other one is.

Sources: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, Table 1; Sandler et al., "MobileNetV2:
Inverted Residuals and Linear Bottlenecks", CVPR 2018, Table 2; the wire format and its
field numbers: Protocol Buffers encoding and onnx.proto3 of ONNX 1.17 (IR version 8, operator set 17).
"""

from __future__ import annotations

import dataclasses
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
MOBILENET_CARD = dataclasses.replace(CARD, name="MobileNetV2 (untrained)", network="mobilenet_v2")
WIDTHS = (64, 128, 256, 512)
BLOCKS_A_STAGE = 2
# MobileNetV2's bottlenecks: how much wider they are inside, channels, how many, stride of the first.
BOTTLENECKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

# TensorProto.DataType.FLOAT; AttributeProto.AttributeType.INT and INTS
_FLOAT, _INT, _INTS = 1, 2, 7


def resnet18_onnx(seed: int = 0) -> bytes:
    """Return an untrained ResNet-18: `images` (N, 3, 224, 224) in, `logits` (N, 7) out, both float32."""
    graph = _Graph(seed, CARD)
    x = graph.convolve("images", CARD.input.channels, WIDTHS[0], kernel=7, stride=2)
    x = graph.add("MaxPool", [graph.add("Relu", [x])], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = WIDTHS[0]
    for stage, width in enumerate(WIDTHS):
        for block in range(BLOCKS_A_STAGE):
            stride = 2 if stage > 0 and block == 0 else 1
            x = graph.add_block(x, channels, width, stride)
            channels = width
    return graph.to_model(x, channels)


def mobilenet_v2_onnx(seed: int = 0) -> bytes:
    """Return an untrained MobileNetV2: `images` (N, 3, 224, 224) in, `logits` (N, 7) out, both float32."""
    graph = _Graph(seed, MOBILENET_CARD)
    channels = 32
    x = graph.clip(graph.convolve("images", CARD.input.channels, channels, kernel=3, stride=2))
    for expansion, width, count, stride in BOTTLENECKS:
        for block in range(count):
            x = graph.add_bottleneck(x, (channels, channels * expansion, width), stride if block == 0 else 1)
            channels = width
    x = graph.clip(graph.convolve(x, channels, 1280, kernel=1, stride=1))
    return graph.to_model(x, 1280)


class _Graph:
    """Collects nodes and weights, each already encoded."""

    def __init__(self, seed: int, card: ModelCard) -> None:
        self._card = card
        self._random = np.random.default_rng(seed)
        self._nodes: list[bytes] = []
        self._weights: list[bytes] = []

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Sequence[int] | int) -> str:
        """Append a node and return the name of its output."""
        output = output or f"{operator.lower()}_{len(self._nodes)}"
        encoded = [
            _text(1, name)
            + (
                _number(3, value) + _number(20, _INT)
                if isinstance(value, int)
                else b"".join(_number(8, part) for part in value) + _number(20, _INTS)
            )
            for name, value in attributes.items()
        ]
        self._nodes.append(
            b"".join(_text(1, name) for name in inputs)
            + _text(2, output)
            + _text(4, operator)
            + b"".join(_message(5, attribute) for attribute in encoded)
        )
        return output

    def parameter(self, shape: tuple[int, ...], fan_in: int = 0) -> str:
        """Append a weight of He's variance 2 / fan_in, or zeros where there is none, and return its name."""
        name = f"parameter_{len(self._weights)}"
        scale = math.sqrt(2 / fan_in) if fan_in else 0.0
        values = scale * self._random.standard_normal(shape, dtype=np.float32)
        dims = b"".join(_number(1, side) for side in shape)
        raw = values.astype("<f4").tobytes()
        self._weights.append(dims + _number(2, _FLOAT) + _text(8, name) + _message(9, raw))
        return name

    def convolve(  # noqa: PLR0913, PLR0917 - what a convolution is
        self, x: str, channels: int, width: int, kernel: int, stride: int, group: int = 1
    ) -> str:
        """Append a convolution with bias that keeps the sides (at stride 1)."""
        inside = channels // group
        weight = self.parameter((width, inside, kernel, kernel), fan_in=inside * kernel * kernel)
        return self.add(
            "Conv",
            [x, weight, self.parameter((width,))],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=group,
        )

    def clip(self, x: str) -> str:
        """Append ReLU6."""
        return self.add("Clip", [x, self._limit(0.0), self._limit(6.0)])

    def _limit(self, value: float) -> str:
        name = f"limit_{value:g}"
        encoded = _number(2, _FLOAT) + _text(8, name) + _message(9, np.array(value, "<f4").tobytes())
        if encoded not in self._weights:
            self._weights.append(encoded)
        return name

    def add_block(self, x: str, channels: int, width: int, stride: int) -> str:
        """Append a basic block: two 3x3 convolutions beside the identity, or beside a 1x1 to change shape."""
        y = self.add("Relu", [self.convolve(x, channels, width, 3, stride)])
        y = self.convolve(y, width, width, 3, 1)
        shortcut = x if (channels, stride) == (width, 1) else self.convolve(x, channels, width, 1, stride)
        return self.add("Relu", [self.add("Add", [y, shortcut])])

    def add_bottleneck(self, x: str, widths: tuple[int, int, int], stride: int) -> str:
        """Append an inverted residual block: widen, convolve each channel alone, narrow; beside the identity if it can.

        Args:
            x: The block's input.
            widths: Channels of the input, inside and of the output.
            stride: Of the convolution in the middle.
        """
        channels, inside, width = widths
        y = x if inside == channels else self.clip(self.convolve(x, channels, inside, 1, 1))
        y = self.clip(self.convolve(y, inside, inside, 3, stride, group=inside))
        y = self.convolve(y, inside, width, 1, 1)
        return self.add("Add", [x, y]) if (channels, stride) == (width, 1) else y

    def to_model(self, x: str, channels: int) -> bytes:
        """Append the pooling of `x` and the linear layer over its channels, and return the ModelProto."""
        x = self.add("Flatten", [self.add("GlobalAveragePool", [x])])
        weight = self.parameter((channels, self._card.outputs), fan_in=channels)
        self.add("Gemm", [x, weight, self.parameter((self._card.outputs,))], output="logits")
        graph = (
            b"".join(_message(1, node) for node in self._nodes)
            + _text(2, self._card.network)
            + b"".join(_message(5, weight) for weight in self._weights)
            + _message(11, _value_info("images", (CARD.input.channels, CARD.input.size, CARD.input.size)))
            + _message(12, _value_info("logits", (CARD.outputs,)))
        )
        operators = _text(1, "") + _number(2, 17)
        card = _text(1, METADATA_KEY) + _text(2, self._card.to_json())
        return _number(1, 8) + _text(2, "mien") + _message(7, graph) + _message(8, operators) + _message(14, card)


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
    """Encode a non-negative integer, seven bits a byte, lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
