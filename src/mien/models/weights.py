"""Loading weights files into a network, as the start of a training."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.core.expressions import NON_FACE
from mien.models.network import Network

LARGEST_FILE = 2 * 2**30  # bytes
# Keys under which training scripts store weights, and prefixes that wrappers put before tensor names.
WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.", "network.", "model.", "backbone.")
SHOWN = 4
# How many batches a batch norm has seen, which nothing depends on: files may lack it.
COUNTER = "num_batches_tracked"
# The key of a safetensors file's metadata that names the classifier's rows, as a JSON list.
OUTPUTS = "outputs"


def load_weights(
    network: Network, path: Path, outputs: Sequence[str] = (), file_outputs: Sequence[str] = ()
) -> list[str]:
    """Load a weights file into `network`; if a required tensor does not fit, load nothing.

    Reads safetensors files, and torch files of plain tensors: a file that contains code is refused. The weights may be
    under `{"state_dict": ...}` or `{"model": ...}` and have prefixes such as `module.`, `network.` or `backbone.`, so
    the checkpoints of mien's own runs fit too. The network keeps its initial values where

    - the file lacks a modulator, or a part that a paper adds to its backbone (`Network.added_names`);
    - the file's classifier is absent or has another shape, for other classes.

    If the outputs of both are known by name and differ, the classifier keeps the rows of names that both have, less
    the mean of all labels' rows, which changes no probability. Its other rows become 0: a new label starts with an
    average logit.

    Convolutions that read the image are adapted between 3 channels and 1: from 3 to 1 by a sum, the same function as
    of a grey image repeated three times; from 1 to 3 by a third for each.

    Args:
        network: Changed in place.
        path: The file, at most 2 GiB.
        outputs: What the network's logits are of, in order: labels, then perhaps "non-face".
        file_outputs: The same of the file; empty for what the file says, or unknown.

    Returns:
        One sentence about the file, then one for each thing left out or adapted.

    Raises:
        ModelError: The file is missing, too large, or not a weights file; or a weight is missing, has another shape,
            or is not finite. The network is unchanged then.
    """
    own = network.state_dict()
    found, unknown = _match_names(_read_tensors(path), network, own)
    if not found:
        raise ModelError(
            f"{path} does not fit the network: it has none of the network's tensors, but {len(unknown)} others "
            f"({_list(unknown)}; expected {_list(own)})."
        )
    notes = [f"ignored {len(unknown)} that the network does not have: {_list(unknown)}"] if unknown else []
    notes += _adapt_to_channels(network, found)
    notes += _fit_classifier(network, found, outputs, file_outputs or _read_outputs(path))
    notes += _drop_unfit_classifier(network, found, own)
    optional = ("modulators", *network.added_names)
    absent = [name for name in own if name not in found and _is_in(name, optional)]
    if absent:
        notes.append(f"not in the file, initial values kept: {_list(absent)}")
    _check(path, found, own, optional=(*optional, network.classifier_name))
    network.load_state_dict(found, strict=False)
    loaded, all_of_them = (sum(not name.endswith(COUNTER) for name in names) for names in (found, own))
    return [f"loaded {loaded} of the network's {all_of_them} tensors from {path.name}", *notes]


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the dense tensors of a file by name."""
    content = _read(path)
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    items = content.items() if isinstance(content, Mapping) else ()
    tensors = {str(name): value for name, value in items if isinstance(value, Tensor) and value.layout is torch.strided}
    if not tensors:
        raise ModelError(
            f"{path} contains no weights; expected tensors by name, at the top or under {' or '.join(WRAPPERS)}."
        )
    return tensors


def _read(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"No weights file {path}.")
    if (size := _unpacked_size(path)) > LARGEST_FILE:
        raise ModelError(f"{path} holds {size / 2**30:.1f} GiB; the limit is {LARGEST_FILE / 2**30:g} GiB.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # here: the only use of the package

            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how the file was written
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise ModelError(
            f"{path} is not a weights file, or it contains more than weights, which could run code and is not loaded; "
            "save the state_dict alone."
        ) from None
    except ImportError:
        raise
    except Exception as error:  # a damaged file makes torch and safetensors raise errors of almost any kind
        raise ModelError(
            f"{path} cannot be read ({type(error).__name__}); it is damaged or neither a safetensors nor a torch file."
        ) from None


def _unpacked_size(path: Path) -> int:
    """Return a file's bytes; for a zip archive, as torch writes them, at least the bytes of its content."""
    size = path.stat().st_size
    if not zipfile.is_zipfile(path):
        return size
    try:
        with zipfile.ZipFile(path) as archive:
            return max(size, sum(entry.file_size for entry in archive.infolist()))
    except zipfile.BadZipFile:
        return size


def _match_names(
    tensors: Mapping[str, Tensor], network: Network, own: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str]]:
    """Return the tensors under the network's names, and the names that match none of them."""
    found: dict[str, Tensor] = {}
    unknown = []
    for name in sorted(tensors, key=lambda name: name not in own):  # exact names take precedence
        bare_names = list(_without_prefixes(name))
        matches = (*(bare for bare in bare_names if bare in own), *(network.library_name(b, own) for b in bare_names))
        match = next(filter(None, matches), None)
        if match is None or match in found:
            unknown.append(name)
        else:
            found[match] = tensors[name]
    return found, unknown


def _without_prefixes(name: str) -> Iterator[str]:
    """Yield a name as it is, then with one prefix less each time."""
    yield name
    while prefix := next((prefix for prefix in PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
        yield name


def _adapt_to_channels(network: Network, found: dict[str, Tensor]) -> list[str]:
    """Adapt in `found` the convolutions that read the image between 3 and 1 channels."""
    notes = []
    for module_name, module in network.named_modules():
        name = f"{module_name}.weight"
        if not isinstance(module, nn.Conv2d) or name not in found or module.in_channels != network.in_channels:
            continue
        weight, shape = found[name], module.weight.shape
        if weight.ndim != 4 or weight.shape[0] != shape[0] or weight.shape[2:] != shape[2:]:
            continue
        channels = (weight.shape[1], shape[1])
        if channels == (3, 1):
            found[name] = weight.sum(1, keepdim=True)
            notes.append(f"summed {name} over its 3 input channels, since the network has 1")
        elif channels == (1, 3):
            found[name] = weight.expand(-1, 3, -1, -1) / 3
            notes.append(f"spread {name} over 3 input channels, a third for each")
    return notes


def _read_outputs(path: Path) -> list[str]:
    """Return what the rows of a file's classifier are of, if it says so."""
    if path.suffix != ".safetensors":
        return []
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        text = (file.metadata() or {}).get(OUTPUTS, "[]")
    try:
        outputs = json.loads(text)
    except ValueError:
        return []
    return [str(name) for name in outputs] if isinstance(outputs, list) else []


def _fit_classifier(
    network: Network, found: dict[str, Tensor], outputs: Sequence[str], file_outputs: Sequence[str]
) -> list[str]:
    """Rearrange the classifier's rows in `found` by the names of the outputs; nothing if these are equal or unknown."""
    names = [name for name in found if _is_in(name, (network.classifier_name,))]
    rows = {len(found[name]) if found[name].ndim else 0 for name in names}
    if not outputs or list(outputs) == list(file_outputs) or rows != {len(file_outputs)}:
        return []
    labels = [i for i, name in enumerate(file_outputs) if name != NON_FACE]
    for name in names:
        old = found[name].float()
        old = old - old[labels].mean(0)
        rest = torch.zeros_like(old[0])
        found[name] = torch.stack([old[file_outputs.index(o)] if o in file_outputs else rest for o in outputs])
    kept = [name for name in outputs if name in file_outputs]
    new = [name for name in outputs if name not in file_outputs]
    return [f"the classifier keeps {_list(kept) or 'no label'} of the file; new: {_list(new) or 'none'}"]


def _drop_unfit_classifier(network: Network, found: dict[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Drop the classifier from `found` unless all of it fits."""
    names = [name for name in own if _is_in(name, (network.classifier_name,))]
    if all(name in found and found[name].shape == own[name].shape for name in names):
        return []
    given = [tuple(found.pop(name).shape) for name in names if name in found]
    shapes = f"has shapes {', '.join(map(str, given))} in the file" if given else "is not in the file"
    expected = ", ".join(str(tuple(own[name].shape)) for name in names)
    return [
        f"the classifier {network.classifier_name} keeps its initial values: it {shapes}, and {expected} in the network"
    ]


def _check(path: Path, found: Mapping[str, Tensor], own: Mapping[str, Tensor], *, optional: tuple[str, ...]) -> None:
    """Raise `ModelError` unless every required tensor is there and fits."""
    missing = [name for name in own if name not in found and not _is_in(name, optional) and not name.endswith(COUNTER)]
    misshapen = [
        f"{name} is {tuple(tensor.shape)} instead of {tuple(own[name].shape)}"
        for name, tensor in found.items()
        if tensor.shape != own[name].shape
    ]
    invalid = [
        name
        for name, tensor in found.items()
        if tensor.is_floating_point() != own[name].is_floating_point() or not tensor.isfinite().all()
    ]
    problems = {"missing": missing, "of another shape": misshapen, "not finite or of another type": invalid}
    found_problems = [f"{len(names)} {problem}: {_list(names)}" for problem, names in problems.items() if names]
    if found_problems:
        raise ModelError(f"{path} does not fit the network: {'; '.join(found_problems)}.")


def _is_in(name: str, parts: tuple[str, ...]) -> bool:
    """Return whether a tensor is one of the named parts or inside one."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def _list(names: Iterable[str]) -> str:
    """Return the first few names, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
