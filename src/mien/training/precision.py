"""What a run calculates in: 16 bits where the recipe wants them and the hardware has them."""

from __future__ import annotations

import torch

from mien.recipes.schema import Precision, TrainingSettings


def precision_here(settings: TrainingSettings) -> Precision:
    """Return a recipe's precision; on a processor bf16 for 16 bits of any kind, or 32 where bf16 would be emulated."""
    if settings.precision == "32-true" or torch.cuda.is_available():
        return settings.precision
    return "bf16-mixed" if has_bf16() else "32-true"


def has_bf16() -> bool:
    """Return whether oneDNN calculates in bf16 on this processor, not many times slower than in 32 bits.

    It does with AVX-512. Builds of torch without oneDNN do not tell; they are taken to have it.
    """
    tell = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return tell is None or bool(tell())
