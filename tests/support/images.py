"""Encoded images, also broken ones."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return an image as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and holds hardly any data."""

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(b"0")), png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def png_chunk(kind: bytes, content: bytes, *, is_damaged: bool = False) -> bytes:
    """Return a PNG chunk, with a wrong checksum if `is_damaged`."""
    checksum = zlib.crc32(kind + content) ^ is_damaged
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def with_png_chunks(png: bytes, *chunks: bytes, before: bytes = b"IDAT") -> bytes:
    """Return a PNG with more chunks before the first of a kind."""
    place = png.index(before) - 4
    return b"".join([png[:place], *chunks, png[place:]])


def with_jpeg_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    """Return a JPEG with one more segment at its beginning."""
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def bmp(pixels: NDArray[np.uint8], masks: Sequence[int], header: int = 124) -> bytes:
    """Return a BMP of 32 bits per pixel whose samples (h, w, 4), red to alpha, are where the masks say.

    `header` is the size of its header: 124 (version 5), 108 (version 4) or 56 (version 3).
    """
    shifts = [(mask & -mask).bit_length() - 1 if mask else 0 for mask in masks]
    values = sum(pixels[::-1, :, i].astype(np.uint32) << shifts[i] for i in range(4) if masks[i])
    content = np.asarray(values, dtype="<u4").tobytes()
    height, width = pixels.shape[:2]
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, 32, 3, len(content), 2835, 2835, 0, 0)
    info = (info + struct.pack("<4I", *masks)).ljust(header, b"\0")
    start = 14 + len(info)
    return b"BM" + struct.pack("<IHHI", start + len(content), 0, 0, start) + info + content


def tiff_with_tag(tiff: bytes, tag: int, kind: int, count: int, value: int) -> bytes:
    """Return a little-endian TIFF with one more tag, or another value of a tag; `count` 0 removes it."""
    (place,) = struct.unpack_from("<I", tiff, 4)
    (length,) = struct.unpack_from("<H", tiff, place)
    rows = {row[0]: row for row in struct.iter_unpack("<HHII", tiff[place + 2 : place + 2 + 12 * length])}
    rows |= {tag: (tag, kind, count, value)}
    packed = [struct.pack("<HHII", *row) for _, row in sorted(rows.items()) if row[2]]
    end = len(tiff) + len(tiff) % 2
    directory = struct.pack("<H", len(packed)) + b"".join(packed) + bytes(4)
    return tiff[:4] + struct.pack("<I", end) + tiff[8:].ljust(end - 8, b"\0") + directory


# A gradient of 96 x 64 pixels that is to be turned by 90 degrees clockwise.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAaFtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9jAA"
    "AAAERAAAIAAQAAAAABxQABAAAAAAAAAH4AAgAAAAACQwABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAAABVp"
    "bmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA4GlwcnAAAADAaXBjbwAAAHhodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGE"
    "ABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoDCBBZbqSSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAi"
    "QAAAABNjb2xybmNseAABAA0ABoAAAAAUaXNwZQAAAAAAAABgAAAAQAAAABBwaXhpAAAAAAMICAgAAAAJaXJvdAMAAAAYaXBtYQAAAAAAAAABAA"
    "EFgQIDBIUAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAKptZGF0AAAAeigBrxOAaGLHTu+a5CZA1gkiMHpySdR4XM8vx6rG92N2oFCKERmQ"
    "ZduhWagtmGucpc0V6F0WOMbLKZHGoITxx8svmUG2ODA2DOEFaXZTr5solaQy/pFN8hSGg4yw7UF3gdVLJkJlriM616CVWWNrrCwPl/tM3W3CHO"
    "rcAAAABkV4aWYAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA"
)
