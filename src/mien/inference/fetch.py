"""Download a file of known content. Only `mien fetch` uses it: nothing else in mien downloads unasked."""

from __future__ import annotations

import hashlib
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from http.client import HTTPException

from mien.core.errors import ModelError

LARGEST_DOWNLOAD = 2 * 2**20
CHUNK = 2**16


def download(what: str, urls: Iterable[str], sha256: str, timeout: float) -> bytes:
    """Return the content with that SHA-256 from the first address that has it; `ModelError` says why none has.

    `what` is the content's name in errors, and `timeout` the limit for each address, in seconds.
    """
    reasons = []
    for url in urls:
        host = urllib.parse.urlsplit(url).netloc
        try:
            data = _get(url, timeout)
        except (OSError, ValueError, HTTPException) as error:  # URLError and time-outs are OSErrors
            reasons.append(f"{host}: {error}")
            continue
        if sha256_of(data) == sha256:
            return data
        reasons.append(f"{host}: SHA-256 {sha256_of(data)[:12]}... instead of {sha256[:12]}...")
    raise ModelError(f"{what} cannot be downloaded ({'; '.join(dict.fromkeys(reasons))}).")


def sha256_of(data: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _get(url: str, timeout: float) -> bytes:
    end = time.monotonic() + timeout
    data = bytearray()
    with urllib.request.urlopen(url, timeout=timeout) as response:  # noqa: S310 (the addresses are constants)
        while chunk := response.read(CHUNK):
            data += chunk
            if len(data) > LARGEST_DOWNLOAD:
                raise ValueError(f"larger than {LARGEST_DOWNLOAD // 2**20} MiB")
            if time.monotonic() > end:
                raise TimeoutError(f"not finished after {timeout:g} s")
    return bytes(data)
