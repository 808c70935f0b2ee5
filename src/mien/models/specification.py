"""What a file of backbones or papers says about each of its networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mien.models.modulators.registry import ModulatorChoice
from mien.models.network import Network


@dataclass(frozen=True)
class NetworkSpec:
    """A network as it is listed and made.

    Attributes:
        name: What recipes and the command line call it.
        build: Takes `num_classes` and `in_channels` by keyword, and options with defaults and simple types.
        paper: The source: authors, year, title.
        summary: One sentence for `mien models`.
        input: (channels, height, width) for which the catalogue states parameters and multiply-accumulates.
        modulators: The modulators that belong to the network, by stage; recipes replace them, or put "none".
    """

    name: str
    build: Callable[..., Network]
    paper: str
    summary: str
    input: tuple[int, int, int]
    modulators: Mapping[str, ModulatorChoice | str] = field(default_factory=dict)
