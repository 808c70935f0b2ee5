"""Leave out of an encoded image what does not decide about its pixels, because that may be damaged or too large."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

# Ancillary PNG chunks that change pixels or their orientation, and those of animations; critical ones always stay.
PNG_START = 8
PNG_KEPT = (b"tRNS", b"eXIf", b"acTL", b"fcTL", b"fdAT")
# JPEG markers: application data and comments, start of a scan, end of the image.
APP0, APP1, APP14, APP15, COM, SOS = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE, 0xDA
JPEG_END = b"\xff\xd9"
# A segment that says how pixels are stored, or how the image is turned -> its beginning, and its least length.
JPEG_KEPT = {APP0: (b"JFIF\0", 14), APP1: (b"Exif\0\0", 14), APP14: (b"Adobe", 12)}
MOST_PARTS = 100_000  # chunks or segments: what follows more of them is left out
# A file that was preallocated and cut off ends in zeros.
LEAST_PADDING = 16


def without_png_metadata(data: bytes) -> bytes:
    """Return a PNG without its ancillary chunks, except for sound ones that change pixels or orientation.

    Pillow refuses texts and profiles above a megabyte, and any chunk with a wrong checksum.
    """
    kept, place = [data[:PNG_START]], PNG_START
    for _ in range(MOST_PARTS):
        if place >= len(data):
            break
        kind = data[place + 4 : place + 8]
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        checksum = zlib.crc32(data[place + 4 : end - 4]).to_bytes(4, "big")
        is_ancillary = bool(kind[:1]) and kind[0] & 0x20 != 0
        if not is_ancillary or (kind in PNG_KEPT and data[end - 4 : end] == checksum):
            kept.append(data[place:end])
        place = end
    return b"".join(kept)


def without_jpeg_metadata(data: bytes) -> bytes:
    """Return a JPEG without comments, profiles, thumbnails and damaged segments, and with an end marker."""
    kept = [data[:2]]
    for marker, segment in _jpeg_segments(data):
        start, least = JPEG_KEPT.get(marker, (b"", 0))
        is_metadata = APP0 <= marker <= APP15 or marker == COM
        if not is_metadata or (start and segment[4:].startswith(start) and len(segment) >= least + 2):
            kept.append(segment)
    body = b"".join(kept)
    return body if body.endswith(JPEG_END) else body + JPEG_END


def without_padding(data: bytes) -> bytes:
    """Return a JPEG without the zeros at its end, which would be decoded as pixels if its end is missing."""
    body = data.rstrip(b"\0")
    return body if len(data) - len(body) >= LEAST_PADDING else data


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker and the bytes of each segment; the last is the first scan with all that follows."""
    place = 2
    for _ in range(MOST_PARTS):
        place = data.find(b"\xff", place)  # bytes between segments are passed over
        if not 0 <= place <= len(data) - 4:
            return
        marker = data[place + 1]
        if marker in (0xFF, 0x00):
            place += 1
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        end = len(data) if marker == SOS else place + 2 + max(length, 2)
        yield marker, data[place:end]
        place = end
