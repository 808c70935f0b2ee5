"""Initial weights that several networks share."""

from __future__ import annotations

from torch import nn


def initialize_by_fan_out(module: nn.Module) -> None:
    """Draw all convolutions below a module from N(0, 2 / fan-out) and set their biases to 0 (He et al. 2015)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
