from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from images import encoded, png_header
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mien.core.decoding import Limits, decode_image, read_image
from mien.core.errors import ImageError
from mien.core.image import as_rgb


def noise(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


# -- valid images, also unusual ones


def png16(pixels: object) -> bytes:
    return bytes(cv2.imencode(".png", np.array(pixels, dtype=np.uint16))[1])


def palette_with_transparency() -> bytes:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    return encoded(image, transparency=bytes([0, 255]))


def animation() -> bytes:
    frames = [Image.new("RGB", (1, 1), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(encoded(Image.new("RGB", (1, 1), (1, 2, 3))), [[1, 2, 3]], id="RGB"),
        pytest.param(encoded(Image.fromarray(np.uint8([[9, 7]]))), [[9] * 3, [7] * 3], id="grey"),
        pytest.param(
            encoded(Image.fromarray(np.uint8([[[1, 2, 3, 255], [1, 2, 3, 0], [0, 0, 0, 128]]]))),
            [[1, 2, 3], [255] * 3, [127] * 3],
            id="RGBA",
        ),
        pytest.param(
            encoded(Image.fromarray(np.uint8([[10, 20]])), transparency=10),
            [[255] * 3, [20] * 3],
            id="transparent grey",
        ),
        pytest.param(palette_with_transparency(), [[255] * 3, [0, 255, 0]], id="palette"),
        pytest.param(encoded(Image.fromarray(np.uint8([[0, 255]])).convert("1")), [[0] * 3, [255] * 3], id="one bit"),
        pytest.param(png16([[0, 257, 32896, 65535]]), [[0] * 3, [1] * 3, [128] * 3, [255] * 3], id="16-bit grey"),
        pytest.param(png16([[[0, 32896, 65535]]]), [[255, 128, 0]], id="16-bit colour"),  # written as B, G, R
        pytest.param(animation(), [[255, 0, 0]], id="first frame"),
    ],
)
def test_images_are_decoded_to_8_bit_rgb_on_white(data: bytes, expected: list[list[int]]) -> None:
    assert decode_image(data)[0].tolist() == expected


def test_blending_is_exact() -> None:
    pixels = noise(37, 50, 4)
    colour, alpha = pixels[..., :3].astype(float), pixels[..., 3:] / 255
    blended = decode_image(encoded(Image.fromarray(pixels)))
    assert np.abs(blended - (colour * alpha + 255 * (1 - alpha))).max() <= 0.5 + 1e-6
    assert np.array_equal(blended, as_rgb(pixels))


def test_cmyk_jpeg_keeps_its_colours() -> None:
    plain = encoded(Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK"), "JPEG")
    assert b"Adobe" in plain  # Pillow writes Adobe's inverted CMYK with its marker
    assert np.abs(decode_image(plain).astype(int) - (250, 10, 10)).max() <= 6


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "WEBP", "PPM"])
def test_other_formats(kind: str) -> None:
    pixels = np.full((16, 16, 3), 200, dtype=np.uint8)
    assert np.abs(decode_image(encoded(Image.fromarray(pixels), kind)).astype(int) - 200).max() <= 2


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, None),
        (2, Image.Transpose.FLIP_LEFT_RIGHT),
        (3, Image.Transpose.ROTATE_180),
        (4, Image.Transpose.FLIP_TOP_BOTTOM),
        (5, Image.Transpose.TRANSPOSE),
        (6, Image.Transpose.ROTATE_90),
        (7, Image.Transpose.TRANSVERSE),
        (8, Image.Transpose.ROTATE_270),
    ],
)
def test_every_exif_orientation_comes_out_upright(
    orientation: int, undo: Image.Transpose | None, dtype: type[np.unsignedinteger]
) -> None:
    upright = noise(5, 7)
    # A camera stores the upright image turned so that the orientation undoes it.
    image = Image.fromarray(upright.astype(dtype) * (257 if dtype is np.uint16 else 1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(image if undo is None else image.transpose(undo), exif=exif)
    assert np.array_equal(decode_image(data)[..., 0], upright)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_orientation_from_xmp(kind: str) -> None:
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="3"/></x:xmpmeta>'
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp)
    stored = Image.fromarray(np.repeat(np.uint8([[0, 255]]), 8, axis=1))
    data = encoded(stored, kind, **({"pnginfo": info} if kind == "PNG" else {"xmp": xmp.encode()}))
    assert decode_image(data)[0, [0, -1], 0].tolist() == [255, 0]


# -- what is refused


@pytest.mark.parametrize(
    ("name", "expected"), [("nosuch.jpg", "No such file"), (".", "folder"), ("a\0b.png", "null byte")]
)
def test_paths_that_cannot_be_read(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(ImageError, match=f"cannot be read .*{expected}"):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", r"x\.png is empty"),
        (b"plain text\n", r"x\.png is not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", r"x\.png is a PostScript document; expected"),
    ],
)
def test_files_that_are_not_images(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=expected):
        read_image(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("part", [0.3, 0.7])
def test_truncated_files_are_refused(kind: str, part: float) -> None:
    data = encoded(Image.fromarray(noise(64, 64, 3)), kind)
    with pytest.raises(ImageError, match="x is"):
        decode_image(data[: int(len(data) * part)], "x")


def test_damaged_bytes_never_raise_anything_else() -> None:
    outcomes = set()
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        data = np.frombuffer(encoded(Image.fromarray(noise(16, 16, 3)), kind), dtype=np.uint8)
        for _ in range(30):
            broken = data.copy()
            broken[rng.integers(len(data), size=4)] = rng.integers(0, 256, 4, dtype=np.uint8)
            try:
                outcomes.add(decode_image(broken.tobytes()[: rng.integers(1, 2 * len(data))]).shape[2])
            except ImageError as error:
                outcomes.add(len(str(error).splitlines()))
    assert outcomes == {1, 3}  # one line, or three channels


@pytest.mark.parametrize("size", [(30_000, 30_000), (11_000, 11_000), (2_000_000_000, 1)])
def test_decompression_bombs_are_refused_by_their_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"bomb\.png claims more than 100 million pixels"):
        decode_image(png_header(*size), "bomb.png")


def test_limits_apply() -> None:
    data = encoded(Image.new("RGB", (10, 10)))
    with pytest.raises(ImageError, match="claims more than"):
        decode_image(data, limits=Limits(max_pixels=99))
    with pytest.raises(ImageError, match="larger than"):
        decode_image(data, limits=Limits(max_bytes=len(data) - 1))
    assert decode_image(data, limits=Limits(len(data), 100)).shape == (10, 10, 3)
    with pytest.raises(ImageError, match="max_pixels"):
        Limits(max_pixels=0)
