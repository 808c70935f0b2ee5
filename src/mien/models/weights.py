"""Weights from files: what another training learnt, as the start of a network of the same names."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.models.network import Network

LARGEST_FILE = 2 * 2**30  # bytes
# What training scripts wrap a network in, and what torch's own wrappers put before its names.
WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.", "network.", "model.", "backbone.")
SHOWN = 4


def load_weights(network: Network, path: Path) -> list[str]:
    """Load a weights file into `network`, all that must fit or nothing.

    Read are safetensors files and torch's, the latter as plain tensors: a file that holds code is refused. Around the
    weights may lie `{"state_dict": ...}` or `{"model": ...}`, before their names `module.`, `network.`, `backbone.` and
    the like; so a checkpoint of a mien run fits too. The network keeps its own start where

    - the file lacks a modulator, or a part that a paper adds to its backbone (`Network.added_names`);
    - the file's classifier is absent or has another shape, other classes for example.

    A convolution that sees the image is adapted when the file's was made for 3 channels and the network's has 1
    (summed: the same function as of a grey picture repeated three times) or the other way round (a third for each).

    Args:
        network: Changed in place.
        path: The file, at most 2 GiB.

    Returns:
        One sentence on the file, then one on each thing that was left out or adapted.

    Raises:
        ModelError: The file is missing, too large, or no weights file; or a weight is missing, of another shape, or
            not finite. The network is unchanged then.
    """
    own = network.state_dict()
    found, unknown = _renamed(_tensors(path), network, own)
    if not found:
        raise ModelError(
            f"{path} does not fit the network: none of its {len(unknown)} names is the network's "
            f"({_listed(unknown)}; expected {_listed(own)})."
        )
    notes = []
    if unknown:
        notes.append(f"ignored {len(unknown)} that the network does not have: {_listed(unknown)}")
    notes += _adapt_to_channels(network, found)
    notes += _leave_classifier(network, found, own)
    optional = ("modulators", *network.added_names)
    left = [name for name in own if name not in found and _is_of(name, optional)]
    if left:
        notes.append(f"not in the file, so left as they start: {_listed(left)}")
    _check(path, found, own, optional=(*optional, network.classifier_name))
    network.load_state_dict(found, strict=False)
    return [f"loaded {len(found)} of the network's {len(own)} tensors from {path.name}", *notes]


def _tensors(path: Path) -> dict[str, Tensor]:
    """Return the dense tensors of a file by name."""
    content = _read(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    items = content.items() if isinstance(content, Mapping) else ()
    tensors = {str(name): value for name, value in items if isinstance(value, Tensor) and value.layout is torch.strided}
    if not tensors:
        raise ModelError(f"{path} holds no weights: expected tensors by name, or these under {' or '.join(WRAPPERS)}.")
    return tensors


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"No weights file {path}.")
    if (size := _unpacked_size(path)) > LARGEST_FILE:
        raise ModelError(f"{path} holds {size / 2**30:.1f} GiB; weights files may hold {LARGEST_FILE / 2**30:g} GiB.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # here: the only use of the package

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how the file was written, which its reader cannot change
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path} is no weights file, or one that holds more than weights, which could run code and is not loaded; "
            "save the state_dict alone."
        ) from None
    except ImportError:
        raise
    except Exception as error:  # a damaged file makes torch and safetensors raise errors of almost any kind
        raise ModelError(
            f"{path} cannot be read ({type(error).__name__}); it is damaged or neither a safetensors nor a torch file."
        ) from None


def _unpacked_size(path: Path) -> int:
    """Return the bytes of a file, or, if more, those that a zip archive would unpack to, as torch's files are."""
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        return size
    try:
        with zipfile.ZipFile(path) as archive:
            return max(size, sum(entry.file_size for entry in archive.infolist()))
    except zipfile.BadZipFile:
        return size


@runtime_checkable
class NamedOtherwise(Protocol):
    """A network whose weights have other names in the files of the library that it is made from."""

    def name_in_network(self, name: str, own: Container[str]) -> str | None:
        """Return the network's name, one of `own`, of what such files call `name`; None if it has none."""
        ...


def _renamed(
    tensors: Mapping[str, Tensor], network: Network, own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors under the network's names, and the names that are not the network's."""
    found: dict[str, Tensor] = {}
    unknown = []
    for name in sorted(tensors, key=lambda name: name not in own):  # the network's own spelling before any other
        match = next((bare for bare in _without_prefixes(name) if bare in own), None)
        if match is None and isinstance(network, NamedOtherwise):
            matches = (network.name_in_network(bare, own) for bare in _without_prefixes(name))
            match = next(filter(None, matches), None)
        if match is None or match in found:
            unknown.append(name)
        else:
            found[match] = tensors[name]
    return found, unknown


def _without_prefixes(name: str) -> Iterator[str]:
    """Yield a name as it is, and without each prefix in turn."""
    yield name
    while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
        yield name


def _adapt_to_channels(network: Network, found: dict[str, Tensor]) -> list[str]:
    """Adapt in `found` the convolutions that see the image between 3 and 1 channels."""
    notes = []
    for module_name, module in network.named_modules():
        name = f"{module_name}.weight"
        if not isinstance(module, nn.Conv2d) or name not in found:
            continue
        weight, shape = found[name], module.weight.shape
        if weight.ndim != 4 or weight.shape[0] != shape[0] or weight.shape[2:] != shape[2:]:
            continue
        given, wanted = weight.shape[1], shape[1]
        if (given, wanted) == (3, 1) and module.in_channels == network.in_channels == 1:
            found[name] = weight.sum(1, keepdim=True)
            notes.append(f"summed {name} over its 3 input channels, since the network has 1")
        elif (given, wanted) == (1, 3) and module.in_channels == network.in_channels == 3:
            found[name] = weight.expand(-1, 3, -1, -1) / 3
            notes.append(f"spread {name} over 3 input channels, a third for each")
    return notes


def _leave_classifier(network: Network, found: dict[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Drop the classifier from `found` unless all of it fits."""
    names = [name for name in own if _is_of(name, (network.classifier_name,))]
    if all(name in found and found[name].shape == own[name].shape for name in names):
        return []
    given = [tuple(found.pop(name).shape) for name in names if name in found]
    shapes = f"has shapes {', '.join(map(str, given))}" if given else "is not in the file"
    wanted = ", ".join(str(tuple(own[name].shape)) for name in names)
    return [f"the classifier {network.classifier_name} starts anew: it {shapes}, the network's are {wanted}"]


def _check(path: Path, found: Mapping[str, Tensor], own: Mapping[str, Tensor], *, optional: tuple[str, ...]) -> None:
    """Raise `ModelError` unless every tensor that is needed is there and fits."""
    missing = [
        name
        for name in own
        if name not in found and not _is_of(name, optional) and not name.endswith("num_batches_tracked")
    ]
    wrong = [
        f"{name} is {tuple(tensor.shape)} instead of {tuple(own[name].shape)}"
        for name, tensor in found.items()
        if tensor.shape != own[name].shape
    ]
    other = [
        name
        for name, tensor in found.items()
        if tensor.is_floating_point() != own[name].is_floating_point() or not tensor.isfinite().all()
    ]
    problems = [
        f"{len(names)} {words}: {_listed(names)}"
        for names, words in (
            (missing, "missing"),
            (wrong, "of another shape"),
            (other, "not of finite numbers of the network's type"),
        )
        if names
    ]
    if problems:
        raise ModelError(f"{path} does not fit the network: {'; '.join(problems)}.")


def _is_of(name: str, parts: tuple[str, ...]) -> bool:
    """Tell whether a tensor is one of the named parts or lies in one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _listed(names: Iterable[str]) -> str:
    """Return the first few names, and how many there are more."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
