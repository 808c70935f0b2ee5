"""Files of data sets for tests, and the check that a broken one is reported well."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.errors import DataError
from mien.data import registry


def write_image(path: Path, grey: int, side: int = 48, around: int | tuple[tuple[int, int], ...] = 0) -> None:
    """Write a face of one shade, `side` pixels a side, inside `around` black pixels, as in `np.pad`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.pad(np.full((side, side), grey, dtype=np.uint8), around)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def assert_refused(name: str, path: Path, expected: str, origin: str = "") -> None:
    """Check that loading fails with one line that matches `expected` and says where the data set is available."""
    with pytest.raises(DataError, match=expected) as caught:
        registry.load(name, path)
    assert origin in str(caught.value)
    assert "\n" not in str(caught.value)
