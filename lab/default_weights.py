"""`python -m lab.default_weights FER2013`: write the weights of the shipped model as training takes them.

The shipped `default.onnx` is folded: its convolutions contain their batch norms. This gives each convolution a batch
norm again. Its running mean and variance are those of the convolution's output on training faces; its scale and shift
undo them. In evaluation the network then returns the logits of the file, and a training that uses the statistics of
its batches starts from nearly the same function. Weights that 16 bits hold exactly are stored in 16 bits.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from safetensors.torch import save as serialize
from torch import Tensor, nn

from lab import ROOT
from mien.core.card import ModelCard
from mien.core.errors import ModelError
from mien.core.expressions import output_names
from mien.core.image import to_batch
from mien.core.whole_file import write_whole
from mien.data.options import LoadOptions
from mien.data.registry import detect, load
from mien.inference.model import OnnxModel, optimize_model
from mien.inference.model_files import read_model
from mien.models.layers.folding import folded_pairs
from mien.models.network import Network
from mien.models.weights import OUTPUTS
from mien.recipes import parse_recipe
from mien.training.run import create_network

FACES = 4096
BATCH = 256
SOURCE = "default"
PATH = ROOT / "src" / "mien" / "assets" / "default.safetensors"


def unfold(content: bytes, card: ModelCard, images: NDArray[np.float32]) -> Network:
    """Return the network of a folded model file with batch norms, in evaluation mode.

    Args:
        content: The .onnx file.
        card: Its card, with the recipe that names the network.
        images: (n, C, S, S), normalized training faces.

    Raises:
        ModelError: The file's tensors are not those of the folded network.
    """
    network = create_network(parse_recipe(card.recipe, "in the card"), len(card.labels)).eval()
    modules = dict(network.named_modules())
    pairs = folded_pairs(network, torch.zeros(1, *images.shape[1:]))
    graph = onnx.load_from_string(optimize_model(content, card.name)).graph
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    biases = {conv: tensors.pop(f"{conv}.bias") for conv, _ in pairs}
    expected = {f"{name}.{part}" for name, m in modules.items() for part, _ in m.named_parameters(recurse=False)}
    expected -= {f"{norm}.{part}" for _, norm in pairs for part in ("weight", "bias")}
    if tensors.keys() != expected:
        raise ModelError(f"{card.name} has other tensors: {sorted(tensors.keys() ^ expected)[:4]}.")
    network.load_state_dict(tensors, strict=False)
    for conv, norm in pairs:
        _set(modules[norm], biases[conv], torch.zeros_like(biases[conv]), torch.ones_like(biases[conv]))
    moments = _measure(network, {conv: modules[conv] for conv, _ in pairs}, torch.from_numpy(images))
    for conv, norm in pairs:
        _set(modules[norm], biases[conv], *moments[conv])
    return network


@torch.no_grad()
def _set(norm: nn.Module, bias: Tensor, mean: Tensor, variance: Tensor) -> None:
    """Give a batch norm these statistics, and the scale and shift with which it only adds the bias."""
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_((norm.running_var.double() + norm.eps).sqrt())
    norm.bias.copy_(bias.double() + norm.running_mean.double())


@torch.inference_mode()
def _measure(network: Network, layers: dict[str, nn.Module], images: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """Return mean and variance of each layer's output by channel."""
    sums: dict[str, Tensor] = {}

    def add(name: str, output: Tensor) -> None:
        values = output.double().transpose(0, 1).flatten(1)
        moments = torch.stack([torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)])
        sums[name] = sums.get(name, torch.zeros_like(moments)) + moments

    hooks = [
        layer.register_forward_hook(lambda _, __, output, name=name: add(name, output))
        for name, layer in layers.items()
    ]
    for batch in images.split(BATCH):
        network(batch)
    for hook in hooks:
        hook.remove()
    return {name: (total / n, squares / n - (total / n) ** 2) for name, (n, total, squares) in sums.items()}


def _half_if_exact(value: Tensor) -> Tensor:
    half = value.half()
    return half if value.is_floating_point() and torch.equal(half.float(), value) else value


def save(network: Network, card: ModelCard, path: Path) -> None:
    """Write a network's weights; tensors that 16 bits hold exactly in 16 bits."""
    stored = {name: _half_if_exact(value) for name, value in network.state_dict().items()}
    outputs = output_names(card.labels.names, rejects=card.reject_threshold is not None)
    write_weights(stored, outputs, card.name, path)


def write_weights(tensors: Mapping[str, Tensor], outputs: Sequence[str], name: str, path: Path) -> None:
    """Write tensors as `mien train --weights` takes them, with the names of the network's outputs and its own."""
    contiguous = {key: value.contiguous() for key, value in tensors.items()}
    write_whole(path, serialize(contiguous, {OUTPUTS: json.dumps(list(outputs)), "name": name}))


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m lab.default_weights", description=__doc__)
    parser.add_argument("data", type=Path, help="the data set that the model was trained on")
    folder = parser.parse_args().data
    content, _ = read_model(SOURCE)
    card = OnnxModel(content, SOURCE).card
    options = LoadOptions(image_size=card.input.size, channels=card.input.channels, crop=card.crop)
    faces = load(detect(folder), folder, options).split(card.recipe["data"]["train_split"])
    rows = np.linspace(0, len(faces) - 1, min(FACES, len(faces))).round().astype(int)
    network = unfold(content, card, to_batch([faces.images[row] for row in rows], card.input))
    save(network, card, PATH)
    print(f"{PATH}: {PATH.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
