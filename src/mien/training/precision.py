"""What a run calculates in: 16 bits where the recipe wants them and the hardware has them."""

from __future__ import annotations

import torch

from mien.training.recipe import Precision, TrainingSettings


def precision_here(settings: TrainingSettings) -> Precision:
    """Return the precision of a recipe's `training`, or 32 bits instead of bf16 that a processor would emulate."""
    if settings.precision == "bf16-mixed" and not torch.cuda.is_available() and not has_bf16():
        return "32-true"
    return settings.precision


def has_bf16() -> bool:
    """Return whether oneDNN calculates in bf16 on this processor, not many times slower than in 32 bits.

    It does with AVX-512. Builds of torch without oneDNN do not tell; they are taken to have it.
    """
    tell = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return tell is None or bool(tell())
