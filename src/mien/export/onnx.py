"""Write a network as ONNX: folded, checked against torch, with the model card in its metadata."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from mien.core.card import METADATA_KEY, ModelCard
from mien.core.errors import ModelError
from mien.inference.model import ExpressionModel
from mien.models.network import Network

OPSET = 17
TOLERANCE = 1e-4


def export_onnx(network: Network, card: ModelCard, path: Path, *, use_half_weights: bool = False) -> float:
    """Write `network` to `path` and return the largest difference to torch that was measured.

    The file has one input `images` (N, C, S, S) and one output `logits` (N, K), N free. With `use_half_weights` the
    weights are stored in 16 bits, half the size, and become 32 bits again when the file is loaded.

    Raises:
        ModelError: torch and onnxruntime differ by more than 1e-4 on any logit; nothing is written then.
    """
    folded = network.folded().eval()
    if use_half_weights:
        _round_to_half(folded)
    size, channels = card.input.size, card.input.channels
    buffer: Any = io.BytesIO()  # the exporter takes it, its annotation does not
    with warnings.catch_warnings():
        # the TorchScript exporter: the other one silently drops small epsilons
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
    model = onnx.load_from_string(buffer.getvalue())
    if use_half_weights:
        _store_half(model)
    _write_card(model, card)
    content = model.SerializeToString()
    difference = largest_difference(folded, ExpressionModel(content, str(path)))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"Not exported: torch and onnxruntime differ by {difference:.2g} on a logit, more than {TOLERANCE:g}."
        )
    _write(content, path)
    return difference


def replace_card(path: Path, card: ModelCard) -> None:
    """Write another card into an exported file, leaving its weights as they are."""
    model = onnx.load(path)
    _write_card(model, card)
    _write(model.SerializeToString(), path)


def largest_difference(network: Network, model: ExpressionModel) -> float:
    """Return the largest absolute difference of a logit between torch and onnxruntime, over batches of 1 and 8."""
    spec = model.card.input
    generator = np.random.default_rng(0)
    worst = 0.0
    for batch in (1, 8):
        images = generator.standard_normal((batch, spec.channels, spec.size, spec.size)).astype(np.float32)
        with torch.inference_mode():
            expected: NDArray[np.float32] = network(torch.from_numpy(images)).numpy()
        difference = float(np.abs(expected - model.predict(images).logits).max())
        # not max(): it would pass over NaN
        worst = difference if not difference <= worst else worst
    return worst


def _round_to_half(network: Network) -> None:
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim > 1:
                tensor.copy_(tensor.half().float())


def _store_half(model: Any) -> None:
    """Store every float weight of two or more dimensions in 16 bits, with a Cast before its first use."""
    casts = []
    for initializer in model.graph.initializer:
        if initializer.data_type != onnx.TensorProto.FLOAT or len(initializer.dims) < 2:
            continue
        name = initializer.name
        half = numpy_helper.to_array(initializer).astype(np.float16)
        initializer.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


def _write_card(model: Any, card: ModelCard) -> None:
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=METADATA_KEY, value=card.to_json())
    onnx.checker.check_model(model)


def _write(content: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".part")
    scratch.write_bytes(content)
    scratch.replace(path)
