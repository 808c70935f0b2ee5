"""Memory for training on processors: kept from step to step, and in large pages. Does not import torch."""

from __future__ import annotations

import ctypes
import platform

# An environment variable that torch reads once: tensors of 2 MiB and more get large pages if the system has them.
LARGE_PAGES = "THP_MEM_ALLOC_ENABLE"

# Parameters of mallopt(3), and their values: the largest that glibc accepts for the first.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
MMAP_THRESHOLD, TRIM_THRESHOLD = 32 * 2**20, 2**31 - 1


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the rest of this process instead of returning it to the system.

    A training step frees all its activations and the next one allocates as much: without this the system clears
    hundreds of megabytes of pages at every step. The process keeps the size of its largest step.

    Returns:
        Whether the C library is glibc and accepted the settings; others are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD) and mallopt(M_TRIM_THRESHOLD, TRIM_THRESHOLD))
