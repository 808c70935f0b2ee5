"""Download YuNet, only when asked to: nothing else in mien downloads anything that was not named."""

from __future__ import annotations

import hashlib
import time
import urllib.parse
import urllib.request
from http.client import HTTPException
from pathlib import Path

from mien.core.errors import ModelError
from mien.core.whole_file import write_whole
from mien.inference.cache import YUNET_NAME, cache_dir

# The OpenCV zoo (MIT licence); GitHub sends its large files on to the second address.
_ZOO = "opencv/opencv_zoo/{}main/models/face_detection_yunet/" + YUNET_NAME
YUNET_URLS = (
    "https://github.com/" + _ZOO.format("raw/"),
    "https://media.githubusercontent.com/media/" + _ZOO.format(""),
)
YUNET_SHA256 = "ebafce4e3c118d6554634be5c27ab333b4c047a9a8c3faf1d7cf93101c22f0f0"
LARGEST_DOWNLOAD = 2 * 2**20
CHUNK = 2**16


def fetch_yunet(timeout: float = 20.0) -> Path:
    """Download YuNet's model file into `cache_dir()`, unless the right one is there.

    The file appears whole or not at all, and only if its SHA-256 is the one known here.

    Args:
        timeout: The longest that one address may take in all, in seconds.

    Returns:
        Where the file lies.

    Raises:
        ModelError: No connection, another file than expected, or the folder cannot be written.
    """
    path = cache_dir() / YUNET_NAME
    try:
        if path.is_file() and _sha256(path.read_bytes()) == YUNET_SHA256:
            return path
        content = _download(timeout)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, is_contested=True)
    except OSError as error:
        raise ModelError(f"{path} cannot be written ({error.strerror or error}); set MIEN_CACHE.") from None
    return path


def _download(timeout: float) -> bytes:
    """Return the right bytes from the first address that has them."""
    reasons = []
    for url in YUNET_URLS:
        try:
            data = _get(url, timeout)
        except (OSError, ValueError, HTTPException) as error:  # URLError and time-outs are OSErrors
            reasons.append(f"{_host(url)}: {error}")
            continue
        if _sha256(data) == YUNET_SHA256:
            return data
        reasons.append(f"{_host(url)}: SHA-256 {_sha256(data)[:12]}... instead of {YUNET_SHA256[:12]}...")
    raise ModelError(
        f"YuNet cannot be fetched ({'; '.join(dict.fromkeys(reasons))}). "
        "Without it, --detector haar works; a copy of the file can be named with --yunet FILE."
    )


def _get(url: str, timeout: float) -> bytes:
    end = time.monotonic() + timeout
    data = bytearray()
    with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310 (the addresses are constants)
        while chunk := answer.read(CHUNK):
            data += chunk
            if len(data) > LARGEST_DOWNLOAD:
                raise ValueError(f"more than {LARGEST_DOWNLOAD // 2**20} MiB came")
            if time.monotonic() > end:
                raise TimeoutError(f"not finished after {timeout:g} s")
    return bytes(data)


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
