"""Helpers for parts that must not run in 16 bits."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(maps: Tensor) -> AbstractContextManager[object]:
    """Return a context without autocast on the device of `maps`; cast the inputs by `widened`."""
    if maps.device.type == "meta":  # used for counting only, where nothing is rounded
        return nullcontext()
    return torch.autocast(maps.device.type, enabled=False)


def widened(maps: Tensor) -> Tensor:
    """Return float64 as it is and everything else as float32."""
    return maps if maps.dtype == torch.float64 else maps.float()
