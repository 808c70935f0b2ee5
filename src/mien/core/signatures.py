"""What a file holds, by its first bytes: its name says nothing, and decoders need not be tried one after the other."""

from __future__ import annotations

# A format that can be read -> how its files begin.
_IMAGES: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "BMP": (b"BM",),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "PPM": (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"PF", b"Pf"),
    "JPEG2000": (b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"),
}
# What else people have under an image's name.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"qoif", "a QOI image"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"\0\0\x01\0", "an icon (ICO)"),
    (b"\x01\xda", "an SGI image"),
    (b"P7", "a PAM image"),
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"FUJIFILM", "a camera's raw file"),
    (b"IIRO", "a camera's raw file"),
    (b"IIRS", "a camera's raw file"),
    (b"IIU\0", "a camera's raw file"),
    (b"\x1aE\xdf\xa3", "a video"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
)
_TEXTS = ((b"<!doctype html", "a web page"), (b"<html", "a web page"), (b"<svg", "an SVG drawing"), (b"<?xml", "XML"))
_RAW_BRANDS = (b"crx ",)
_HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs")
HEIC = "HEIC"


def image_format(data: bytes) -> str:
    """Return the name of the image format that a file begins like, such as JPEG; "" if it is none that can be read."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    brands = _brands(data)
    if {b"avif", b"avis"} & brands:
        return "AVIF"
    if set(_HEIC_BRANDS) & brands:
        return HEIC
    return next((name for name, starts in _IMAGES.items() if data.startswith(starts)), "")


def other_content(data: bytes) -> str:
    """Return what a file that is no readable image holds, such as "a PDF document"; "" if that is unknown."""
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "a video"
    if brands := _brands(data):
        return "a camera's raw file" if set(_RAW_BRANDS) & brands else "a video, or an image of an unknown kind"
    text = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    known = (*((start, name) for start, name in _OTHERS if data.startswith(start)),
             *((start, name) for start, name in _TEXTS if text.startswith(start)))  # fmt: skip
    return known[0][1] if known else ""


def _brands(data: bytes) -> set[bytes]:
    """Return the brands of an ISO media file (AVIF, HEIC, MP4); empty for another file."""
    if data[4:8] != b"ftyp":
        return set()
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return {box[place : place + 4] for place in range(0, len(box), 4) if place != 4}  # 4: the version
