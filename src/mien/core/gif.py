"""Count the frames of a GIF without decoding them: Pillow would take minutes for a file made of tiny frames."""

from __future__ import annotations

START = 13
IMAGE, EXTENSION = 0x2C, 0x21
TABLE = 0x80  # the flag of a colour table, whose size is in the lowest three bits
MOST_BLOCKS = 1_000_000


def count_frames(data: bytes) -> int:
    """Return the number of frames of a GIF, at least 1, without those behind damage or a million blocks of data."""
    frames, place, left = 0, START + _table_size(data[10:11]), MOST_BLOCKS
    while place < len(data) and data[place] in (IMAGE, EXTENSION):
        is_image = data[place] == IMAGE
        # an image has a place, a size and perhaps a colour table; then one byte; an extension has a label
        place += 11 + _table_size(data[place + 9 : place + 10]) if is_image else 2
        while place < len(data) and data[place] and left:  # blocks of up to 255 bytes
            place, left = place + 1 + data[place], left - 1
        if place >= len(data) or not left:
            break
        place, frames = place + 1, frames + is_image
    return max(frames, 1)


def _table_size(flags: bytes) -> int:
    return 3 << (flags[0] % 8 + 1) if flags and flags[0] & TABLE else 0
