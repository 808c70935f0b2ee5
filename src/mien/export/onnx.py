"""Write a network as ONNX: folded, checked against torch, with the model card in its metadata."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from mien.core.card import ModelCard
from mien.core.errors import ModelError
from mien.export.model_file import write_card
from mien.export.weights import WeightBits, round_to_half, round_to_int8, store_half, store_int8
from mien.inference.model import OnnxModel
from mien.models.network import Network

OPSET = 17
TOLERANCE = 1e-4


def make_onnx(network: Network, card: ModelCard, *, weight_bits: WeightBits = 32) -> bytes:
    """Return `network` as the bytes of an .onnx file: input `images` (N, C, S, S), output `logits` (N, K), N free.

    Args:
        network: Not changed; a folded copy is exported.
        card: The card to store in the file.
        weight_bits: 16 stores all weights in half precision, 8 stores those of convolutions and linear layers as int8.
            They become 32-bit floats again when the file is loaded: this saves space, not time. The file is compared
            with a torch network of the same rounded weights.

    Raises:
        ModelError: torch and onnxruntime differ by more than 1e-4 on any logit.
    """
    folded = network.folded().eval()
    if weight_bits < 32:
        {16: round_to_half, 8: round_to_int8}[weight_bits](folded)
    model = _trace(folded, card)
    share_constants(model)
    if weight_bits < 32:
        {16: store_half, 8: store_int8}[weight_bits](model)
    write_card(model, card)
    content: bytes = model.SerializeToString()
    difference = largest_difference(folded, OnnxModel(content, f"model '{card.name}'"))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"Not exported: torch and onnxruntime differ by {difference:.2g} on a logit, more than {TOLERANCE:g}."
        )
    return content


def _trace(folded: Network, card: ModelCard) -> Any:
    size, channels = card.input.size, card.input.channels
    buffer: Any = io.BytesIO()  # accepted, though the exporter's annotation says otherwise
    with warnings.catch_warnings():
        # dynamo=False: the newer exporter silently drops small epsilons
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            folded,
            (torch.zeros(1, channels, size, size),),
            buffer,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "batch"}, "logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(buffer.getvalue())


def share_constants(model: Any) -> None:
    """Replace equal constants of the main graph by the first of them.

    Tracing repeats a constant wherever it is used, such as the matrices of a Fourier transform or the bounds of a
    slice.

    Args:
        model: An `onnx.ModelProto` with sorted nodes, changed in place. Bodies of loops may read the main graph.
    """
    first: dict[bytes, str] = {}
    renamed: dict[str, str] = {}
    kept = []
    for node in model.graph.node:
        if node.op_type == "Constant":
            name = first.setdefault(node.attribute[0].SerializeToString(deterministic=True), node.output[0])
            if name != node.output[0]:
                renamed[node.output[0]] = name
                continue
        kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    _rename(model.graph, renamed)


def _rename(graph: Any, renamed: dict[str, str]) -> None:
    """Rename the inputs of a graph's nodes and of the graphs inside them."""
    for node in graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, renamed)
    for output in graph.output:  # a body may return a value of the main graph
        output.name = renamed.get(output.name, output.name)


def largest_difference(network: Network, model: OnnxModel) -> float:
    """Return the largest absolute difference of a logit between torch and onnxruntime, over batches of 1 and 8."""
    spec = model.card.input
    generator = np.random.default_rng(0)
    worst = 0.0
    for batch in (1, 8):
        images = generator.standard_normal((batch, spec.channels, spec.size, spec.size)).astype(np.float32)
        with torch.inference_mode():
            expected: NDArray[np.float32] = network(torch.from_numpy(images)).numpy()
        difference = float(np.abs(expected - model.predict(images).logits).max())
        # max() would ignore NaN
        worst = difference if not difference <= worst else worst
    return worst
