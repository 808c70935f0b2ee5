"""What this machine has for training, and what a run record says of it."""

from __future__ import annotations

import os
import platform
from typing import Any

import torch

from mien.core.hardware import processor_name


def describe_hardware(accelerator: str) -> dict[str, Any]:
    """Name the processor, the cores in use, the accelerator and the versions that decide speed and rounding."""
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if accelerator == "cuda" else accelerator,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
