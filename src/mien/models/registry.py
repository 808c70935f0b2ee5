"""Networks by name: the `NETWORKS` tables of backbones, papers and plug-in files, and other packages' entry points."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Any

from mien.core.errors import ModelError
from mien.core.plugins import Table, make_table, modules_of
from mien.models import backbones, papers
from mien.models.modulators.registry import create_modulator
from mien.models.network import Network, NetworkSpec
from mien.models.options import call_with_options


def table() -> Table[NetworkSpec]:
    """Return all networks: this package's, other packages', and those of loaded plug-in files."""
    return make_table("network", "mien.networks", _built_in(), check=_check_entry_point, parts_of=_networks_of)


def names() -> list[str]:
    """Return the names of all networks that can be made here, sorted."""
    absent = {spec.name for spec in _built_in().values() if spec.requires and find_spec(spec.requires) is None}
    return [name for name in table().names() if name not in absent]


def specification(name: str) -> NetworkSpec:
    """Return a network's entry without making the network.

    Raises:
        ModelError: No such network.
    """
    spec = table().load(name, ModelError)
    if spec.name != name:
        raise ModelError(f"The plug-in for network '{name}' calls it '{spec.name}'; the two must agree.")
    return spec


def create(
    name: str,
    *,
    num_classes: int = 7,
    in_channels: int = 1,
    options: Mapping[str, object] | None = None,
    modulators: Mapping[str, Mapping[str, object] | str] | None = None,
) -> Network:
    """Make a network.

    Args:
        name: One of `names()`.
        num_classes: Number of logits.
        in_channels: Channels of the images: 1 grey, 3 RGB.
        options: The network's own settings by name.
        modulators: Modulators by stage, `{"stage2": "despam"}` or `{"stage2": {"name": "despam", "dropout": 0.1}}`.
            They replace the network's own; "none" removes one.

    Raises:
        ModelError: No such network, stage or modulator.
        RecipeError: No such option, or an invalid value.
    """
    spec = specification(name)
    given = {"num_classes": num_classes, "in_channels": in_channels}
    network = call_with_options(spec.build, options, owner=f"network '{name}'", given=given)
    for stage_name, choice in {**spec.modulators, **(modulators or {})}.items():
        modulator = create_modulator(choice, network.stage(stage_name))
        if modulator is not None:
            network.insert_modulator(stage_name, modulator)
    return network


def _built_in() -> dict[str, NetworkSpec]:
    # A backbone that is only a part of a paper's network has no table.
    modules = chain(modules_of(backbones), modules_of(papers))
    return _by_name(chain.from_iterable(getattr(module, "NETWORKS", ()) for module in modules), "mien")


def _check_entry_point(name: str, part: Any) -> NetworkSpec:
    if not isinstance(part, NetworkSpec):
        raise ModelError(f"The plug-in for network '{name}' must be a NetworkSpec, not {part!r}.")
    return part


def _networks_of(path: Path, module: ModuleType) -> dict[str, NetworkSpec]:
    specs = getattr(module, "NETWORKS", ())
    if not isinstance(specs, tuple | list) or not all(isinstance(spec, NetworkSpec) for spec in specs):
        raise ModelError(f"NETWORKS of {path} must be a tuple of NetworkSpec entries, not {specs!r}.")
    return _by_name(specs, str(path))


def _by_name(specs: Iterable[NetworkSpec], where: str) -> dict[str, NetworkSpec]:
    found: dict[str, NetworkSpec] = {}
    for spec in specs:
        if spec.name in found:
            raise ModelError(f"{where} defines two networks named '{spec.name}'; rename one.")
        found[spec.name] = spec
    return found
