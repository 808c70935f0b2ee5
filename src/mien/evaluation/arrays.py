"""Reading .npz files that others may have written."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError

MAX_BYTES = 2**30  # unpacked: predictions of 8 million images and 7 classes


def read_arrays(path: Path, kind: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of an .npz file by name; pickled ones are refused.

    Args:
        path: The file.
        kind: What the file should be, for errors: "a predictions file".

    Raises:
        DataError: The file is missing or damaged, or would unpack to more than 1 GiB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MAX_BYTES:
            raise DataError(f"{path} would unpack to {unpacked >> 20} MiB; the limit is {MAX_BYTES >> 20} MiB.")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; expected {kind}.") from None
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error):
        raise DataError(f"{path} is not {kind}, or is damaged.") from None
