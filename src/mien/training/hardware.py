"""The machine that trains: its description for records, and whether it has 16-bit arithmetic and a compiler."""

from __future__ import annotations

import os
import platform
import shutil
from typing import Any

import torch

from mien.core.hardware import processor_name
from mien.recipes.schema import Precision, TrainingSettings
from mien.training.processes import note


def describe_hardware() -> dict[str, Any]:
    """Name the processor, the cores in use, the accelerator and the versions that affect speed and rounding."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def precision_here(settings: TrainingSettings) -> Precision:
    """Return a recipe's precision; on a CPU, bf16 for any 16-bit one, or 32 bits if bf16 would be emulated."""
    if settings.precision == "32-true" or torch.cuda.is_available():
        return settings.precision
    return "bf16-mixed" if has_bf16() else "32-true"


def has_bf16() -> bool:
    """Return whether oneDNN computes in bf16 on this processor instead of emulating it, many times slower.

    It does with AVX-512. Builds of torch without oneDNN do not say; they count as having it.
    """
    is_supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return is_supported is None or bool(is_supported())


def has_compiler() -> bool:
    """Return whether torch.compile finds a C++ compiler; print a note if it does not."""
    if any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++")):
        return True
    note("no C++ compiler found; training continues without torch.compile, slower")
    return False
