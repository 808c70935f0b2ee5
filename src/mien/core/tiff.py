"""TIFF: its pages, each with only the tags that decide about pixels, and a guard for what Pillow would read wrongly.

TIFF combines bits, planes, colours and compressions freely, and Pillow decodes some combinations to noise. So only
those that are known to be read right pass; the others are named in an error.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mien.core.errors import ImageError

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 254, 256, 257, 258, 259, 262, 266
STRIPS, SAMPLES, ROWS, STRIP_BYTES, PLANES, TILE_WIDTH = 273, 277, 278, 279, 284, 322
TILES, TILE_BYTES = 324, 325
INKS, EXTRA_SAMPLES, SAMPLE_FORMAT, DNG = 332, 338, 339, 50706
# Further ones: orientation, fax options, predictor, palette, tiles, JPEG tables, YCbCr.
PIXEL_TAGS = {
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIPS, SAMPLES, STRIP_BYTES, PLANES, EXTRA_SAMPLES),
    *(274, ROWS, 292, 293, 317, 320, TILE_WIDTH, 323, TILES, TILE_BYTES, SAMPLE_FORMAT, 347, 529, 530, 531, 532),
}
PIXELS_MISSING = "pixels are missing"
TAGS = PIXEL_TAGS | {SUBFILE, INKS, DNG}
LONG, LONG8 = 4, 16
NUMBERS = {1: "B", 3: "H", LONG: "I", LONG8: "Q"}
SIZES = {1: 1, 3: 2, LONG: 4, 5: 8, 7: 1, LONG8: 8}  # 5: fractions, 7: bytes
MOST_VALUES, MOST_ROWS = 1_000_000, 500_000  # of a tag; of all directories together
PREVIEW, MASK = 1, 4  # bits of the subfile type

WHITE_IS_0, GREY, RGB, PALETTE, CMYK, YCBCR = 0, 1, 2, 3, 5, 6
COLOURS = {WHITE_IS_0: "inverted grey", GREY: "grey", RGB: "RGB", PALETTE: "palette", CMYK: "CMYK", YCBCR: "YCbCr"}
UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4
KINDS = {SIGNED: "signed ", FLOAT: "floating-point "}
UNCOMPRESSED, IN_PLANES, REVERSED = 1, 2, 2
COMPRESSIONS = (UNCOMPRESSED, 2, 3, 4, 5, 7, 8, 32773, 32946, 34925, 50000, 50001)  # fax, LZW, JPEG, Deflate, ...
# Colours, bits and samples per pixel that are read right if the samples of a pixel are side by side.
READ_RIGHT = {
    *((colours, bits, 1) for colours in (WHITE_IS_0, GREY, PALETTE) for bits in (1, 2, 4, 8)),
    *((GREY, 16, 1), (GREY, 8, 2), (CMYK, 8, 4), (CMYK, 16, 4), (YCBCR, 8, 3)),
    *((RGB, bits, samples) for bits in (8, 16) for samples in (3, 4)),
}


@dataclass(frozen=True)
class Entry:
    """A tag's type, its number of values, and their bytes, or the place of these if they are longer than the field."""

    kind: int
    count: int
    field: bytes


class Page:
    """One image of a TIFF file, whose numbers have the byte order `order`: < or >; read when it is needed."""

    def __init__(self, data: bytes, entries: Mapping[int, Entry], order: str) -> None:
        self._data, self._entries, self._order = data, entries, order

    def values(self, tag: int, most: int = MOST_VALUES) -> tuple[int, ...]:
        """Return a tag's first whole numbers; empty if it is missing or damaged."""
        entry = self._entries.get(tag)
        if entry is None or entry.kind not in NUMBERS:
            return ()
        content = self._content(entry, min(entry.count, most))
        return struct.unpack(f"{self._order}{len(content) // SIZES[entry.kind]}{NUMBERS[entry.kind]}", content)

    def _content(self, entry: Entry, count: int) -> bytes:
        """Return the bytes of a tag's first values; empty if they are damaged."""
        size = SIZES.get(entry.kind, 0)
        content = entry.field
        if size * entry.count > len(entry.field):
            (place,) = struct.unpack(self._order + ("I" if len(entry.field) == 4 else "Q"), entry.field)
            content = self._data[place : place + size * count]
        return content[: size * count] if len(content) >= size * count else b""

    def value(self, tag: int, default: int) -> int:
        """Return a tag's first number."""
        return (self.values(tag, 1) or (default,))[0]

    @property
    def is_image(self) -> bool:
        """Whether the page is neither a preview nor a mask of another one."""
        return not self.value(SUBFILE, 0) & (PREVIEW | MASK)

    def encode(self) -> bytes:
        """Return a TIFF file with this page alone, for Pillow.

        Raises:
            ImageError: It would be read wrongly.
            ValueError: The file ends before the pixels do.
        """
        samples = self.value(SAMPLES, max(len(self.values(BITS)), 1))
        colours = self.value(PHOTOMETRIC, GREY if samples < 3 else RGB)
        self._check(colours, samples)
        self._check_length(samples)
        entries = {tag: entry for tag, entry in self._entries.items() if tag in PIXEL_TAGS}
        entries |= {SAMPLES: self._numbers(samples), PHOTOMETRIC: self._numbers(colours)}
        if FLOAT not in self.values(SAMPLE_FORMAT):
            entries.pop(SAMPLE_FORMAT, None)
        if samples in (1, 3):
            entries.pop(EXTRA_SAMPLES, None)
        data = self._data + bytes(-len(self._data) % 2)
        if self._is_planar and self.value(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED:
            pixels = self._interleaved(samples)
            entries |= {STRIPS: self._numbers(len(data)), STRIP_BYTES: self._numbers(len(pixels))}
            entries |= {PLANES: self._numbers(1), ROWS: self._numbers(self.value(HEIGHT, 0))}
            data += pixels + bytes(len(pixels) % 2)
        return self._with_directory(data, entries)

    def _with_directory(self, data: bytes, entries: Mapping[int, Entry]) -> bytes:
        """Return a file whose only directory is appended to `data`; what is longer than its field comes before it."""
        long, rows = list[bytes](), list[bytes]()
        place = len(data)
        for tag, entry in sorted(entries.items()):
            kind, count = entry.kind, min(entry.count, MOST_VALUES)
            field = self._content(entry, count)
            if kind == LONG8:
                kind, field = LONG, self._numbers(*self.values(tag)).field
            if not field:
                continue
            if len(field) > 4:
                long.append(field + bytes(len(field) % 2))
                field, place = struct.pack(f"{self._order}I", place), place + len(long[-1])
            rows.append(struct.pack(f"{self._order}HHI4s", tag, kind, count, field))
        start = (b"II" if self._order == "<" else b"MM") + struct.pack(f"{self._order}HI", 42, place)
        length = struct.pack(f"{self._order}H", len(rows))
        return b"".join([start, data[8:], *long, length, *rows, bytes(4)])

    @property
    def _is_planar(self) -> bool:
        return self.value(PLANES, 1) == IN_PLANES and self.value(SAMPLES, 1) > 1

    def _numbers(self, *values: int) -> Entry:
        return Entry(LONG, len(values), struct.pack(f"{self._order}{len(values)}I", *values))

    def _check(self, colours: int, samples: int) -> None:
        bits = max(self.values(BITS), default=1)
        kinds = set(self.values(SAMPLE_FORMAT)) - {UNDEFINED} or {UNSIGNED}
        compression = self.value(COMPRESSION, UNCOMPRESSED)
        is_raw = compression == UNCOMPRESSED
        is_right = kinds == {UNSIGNED} and (colours, bits, samples) in READ_RIGHT
        if kinds == {FLOAT}:  # Pillow forgets the byte order of what libtiff decompresses
            is_right = (colours, bits, samples) == (GREY, 32, 1) and (is_raw or self._order == "<")
        if self._is_planar:
            is_right &= colours in (RGB, CMYK) and not (is_raw and TILE_WIDTH in self._entries)
        is_even = len(set(self.values(BITS))) <= 1 and self.value(INKS, 1) == 1
        is_reversed = self.value(FILL_ORDER, 1) == REVERSED and (bits > 1 or colours == PALETTE)
        if is_right and is_even and not is_reversed and compression in COMPRESSIONS:
            return
        planes = " in separate planes" if self._is_planar else ""
        planes += ", reversed" if is_reversed else ""
        raise ImageError(
            f"This variant of TIFF cannot be read: {COLOURS.get(colours, f'colours {colours}')}, {samples} x "
            f"{bits} {KINDS.get(max(kinds), '')}bits{planes}, compression {compression}; save it as PNG."
        )

    def _check_length(self, samples: int) -> None:
        """Raise `ValueError` if the file ends before the pixels do: what `encode` appends is not read as pixels."""
        places, sizes = (self.values(STRIPS) or self.values(TILES), self.values(STRIP_BYTES) or self.values(TILE_BYTES))
        end = max((place + size for place, size in zip(places, sizes, strict=False)), default=0)
        if self.value(COMPRESSION, UNCOMPRESSED) == UNCOMPRESSED and TILE_WIDTH not in self._entries and places:
            rows = (self.value(HEIGHT, 0) - 1) % max(self.value(ROWS, MOST_VALUES), 1) + 1
            bits = self.value(WIDTH, 0) * max(self.values(BITS), default=1) * (1 if self._is_planar else samples)
            end = max(end, places[-1] + rows * ((bits + 7) // 8))
        if not places or end > len(self._data):
            raise ValueError(PIXELS_MISSING)

    def _interleaved(self, samples: int) -> bytes:
        """Return the pixels of uncompressed planes with the samples of each side by side."""
        strips = zip(self.values(STRIPS), self.values(STRIP_BYTES), strict=False)
        planes = b"".join(self._data[place : place + size] for place, size in strips)
        size = max(self.values(BITS), default=8) // 8
        expected = samples * self.value(WIDTH, 0) * self.value(HEIGHT, 0) * size
        if not 0 < expected <= len(planes):
            raise ValueError(PIXELS_MISSING)
        return np.frombuffer(planes, np.uint8, expected).reshape(samples, -1, size).transpose(1, 0, 2).tobytes()


def read_pages(data: bytes) -> list[Page]:
    """Return the pages of a TIFF or BigTIFF file without previews and masks.

    Raises:
        ImageError: The file is damaged, or a camera's raw file, whose first page is a preview.
    """
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    offset, count, row = ("Q", "Q", "HHQ8s") if is_big else ("I", "H", "HHI4s")
    pages, seen, left = list[Page](), set[int](), MOST_ROWS
    try:
        (place,) = struct.unpack_from(order + offset, data, 8 if is_big else 4)
        while place and place not in seen and left > 0:
            seen.add(place)
            (length,) = struct.unpack_from(order + count, data, place)
            first = place + struct.calcsize(order + count)
            end = first + length * struct.calcsize(order + row)
            left -= length + 1
            if left < 0:
                break
            rows = struct.iter_unpack(order + row, data[first:end])
            pages.append(Page(data, {tag: Entry(*rest) for tag, *rest in rows if tag in TAGS}, order))
            (place,) = struct.unpack_from(order + offset, data, end)
    except struct.error:  # the last page may be cut off, or followed by garbage
        pass
    if pages and (pages[0].values(DNG) or data[8:10] == b"CR"):
        raise ImageError("This is a camera's raw file; develop it to JPEG or PNG.")
    images = [page for page in pages if page.is_image]
    if not images:
        raise ImageError("This TIFF file holds no image: it is damaged, or a camera's raw file.")
    return images
