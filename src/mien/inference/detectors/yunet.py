"""YuNet (Wu, Peng and Yu, 2023) through OpenCV, and its model file: published in the OpenCV zoo, MIT licence."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cv2.utils import logging
from numpy.typing import NDArray

from mien.core.errors import ModelError
from mien.core.types import Box, Detection
from mien.core.whole_file import write_whole
from mien.inference.detectors import LONG_SIDE, reduce_image

FILE_NAME = "face_detection_yunet_2026may.onnx"
_ZOO = "opencv/opencv_zoo/{}main/models/face_detection_yunet/" + FILE_NAME
# GitHub redirects its large files to the second address.
URLS = ("https://github.com/" + _ZOO.format("raw/"), "https://media.githubusercontent.com/media/" + _ZOO.format(""))
SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
FILE_VARIABLE = "MIEN_YUNET"
LARGEST_DOWNLOAD = 2 * 2**20
DOWNLOAD_CHUNK = 2**16
SCORE_THRESHOLD, OVERLAP, MAX_FACES = 0.7, 0.3, 1000
# In narrower images YuNet in OpenCV 4 finds faces of infinite size, even in black ones.
SHORTEST_SIDE = 64


class YuNet:
    """Reduces images to a long side of 640 pixels.

    It finds more faces than Haar, and is faster (`results/detectors.json`).
    """

    name = "yunet"

    def __init__(self, weights: Path | None = None) -> None:
        """Load the file that `find_weights` returns; `ModelError` if it is missing or another network."""
        found = find_weights(weights)
        if found is None:
            raise ModelError("YuNet's model file is missing; download it (230 kB) with `mien fetch yunet`.")
        self.weights = found
        self._lock = threading.Lock()
        level = logging.setLogLevel(logging.LOG_LEVEL_SILENT)  # OpenCV's log repeats the error below
        try:
            size = (LONG_SIDE, LONG_SIDE)
            self._network: Any = cv2.FaceDetectorYN.create(str(found), "", size, SCORE_THRESHOLD, OVERLAP, MAX_FACES)
            self.detect(np.zeros((32, 32, 3), dtype=np.uint8))  # another network fails only when it runs
        except cv2.error:
            raise ModelError(f"{found} is not a YuNet model file; download one with `mien fetch yunet`.") from None
        finally:
            logging.setLogLevel(level)

    def __reduce__(self) -> tuple[type[YuNet], tuple[Path]]:
        """Return what is pickled: the path of the model file, which is read again."""
        return type(self), (self.weights,)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces in an upright RGB image (h, w, 3), with five landmarks each."""
        small, factor = reduce_image(image)
        below, right = (max(SHORTEST_SIDE - side, 0) for side in small.shape[:2])
        small = cv2.copyMakeBorder(small, 0, below, 0, right, cv2.BORDER_CONSTANT)
        with self._lock:  # the input size is part of the network's state
            self._network.setInputSize((small.shape[1], small.shape[0]))
            _, rows = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        return [_read_row(row, factor) for row in (rows if rows is not None else [])]


def cache_dir() -> Path:
    """Return $MIEN_CACHE, else $XDG_CACHE_HOME/mien, else ~/.cache/mien; it need not exist."""
    if own := os.environ.get("MIEN_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "mien"
    return Path("~/.cache/mien").expanduser()


def find_weights(given: Path | None = None) -> Path | None:
    """Return YuNet's model file: the one given, else $MIEN_YUNET, else the downloaded one, else None.

    `ModelError` if the file given, or in $MIEN_YUNET, does not exist.
    """
    named = given or (Path(os.environ[FILE_VARIABLE]) if os.environ.get(FILE_VARIABLE) else None)
    if named is not None:
        if not named.is_file():
            raise ModelError(f"{named}: no such YuNet model file; download one with `mien fetch yunet`.")
        return named
    fetched = cache_dir() / FILE_NAME
    return fetched if fetched.is_file() else None


def fetch_weights(timeout: float = 20.0) -> Path:
    """Download YuNet's model file into `cache_dir()`, unless it is there already, and return its path.

    Only `mien fetch` calls it: nothing in mien downloads unasked. The file appears complete or not at all, and only
    with the expected SHA-256. `timeout` limits each address, in seconds. `ModelError`: no connection, an unexpected
    file, or the folder cannot be written.
    """
    path = cache_dir() / FILE_NAME
    try:
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == SHA256:
            return path
        content = _download(timeout)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, is_contested=True)
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error.strerror or error}); set MIEN_CACHE.") from None
    return path


def _download(timeout: float) -> bytes:
    """Return the file from the first address that has it; `ModelError` says why none has."""
    reasons = []
    for url in URLS:
        try:
            return _get(url, timeout)
        except (OSError, ValueError, HTTPException) as error:  # URLError and time-outs are OSErrors
            reasons.append(f"{urllib.parse.urlsplit(url).netloc}: {error}")
    raise ModelError(
        f"YuNet cannot be downloaded ({'; '.join(dict.fromkeys(reasons))}). Without it, use --detector haar; with a "
        "copy of the file, --detector yunet:FILE."
    )


def _get(url: str, timeout: float) -> bytes:
    end = time.monotonic() + timeout
    data = bytearray()
    with urllib.request.urlopen(url, timeout=timeout) as response:  # noqa: S310 (the addresses are constants)
        while chunk := response.read(DOWNLOAD_CHUNK):
            data += chunk
            if len(data) > LARGEST_DOWNLOAD:
                raise ValueError(f"larger than {LARGEST_DOWNLOAD // 2**20} MiB")
            if time.monotonic() > end:
                raise TimeoutError(f"not finished after {timeout:g} s")
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise ValueError(f"SHA-256 {found[:12]}... instead of {SHA256[:12]}...")
    return bytes(data)


def _read_row(row: NDArray[np.float32], factor: float) -> Detection:
    """Read one row of YuNet: x, y, width, height, five landmarks (x, y), score."""
    values = [float(v) for v in row]
    points = tuple((values[i] / factor, values[i + 1] / factor) for i in range(4, 14, 2))
    return Detection(Box(*values[:4]).scaled(1 / factor), min(max(values[14], 0.0), 1.0), points)
