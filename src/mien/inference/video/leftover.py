"""Find a second video behind the first one in a file of joined videos, where FFmpeg reads only the first."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

# How files begin: MP4 and QuickTime, Matroska and WebM, Flash, Windows Media, NUT.
STARTS = re.compile(
    rb"\x00\x00\x00[\x08-\xff]ftyp|\x1a\x45\xdf\xa3[\s\S]{1,40}(?:matroska|webm)|FLV\x01[\x01\x04\x05]\x00\x00\x00\x09"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c|nut/multimedia container"
)
LONGEST_START = 64
CHUNK = 2**20


def holds_another(source: Path | bytes, position: int) -> bool:
    """Return whether another video starts in a file, or its content, behind a position in bytes; False on errors."""
    with contextlib.suppress(OSError), io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
        file.seek(position)
        kept = b""
        while chunk := file.read(CHUNK):
            if STARTS.search(kept + chunk):
                return True
            kept = chunk[-LONGEST_START:]
    return False
