from __future__ import annotations

import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from mien.core.card import CropSpec, InputSpec
from mien.core.errors import ImageError
from mien.core.image import (
    Limits,
    as_rgb,
    crop_face,
    decode_image,
    fit_face,
    normalize,
    read_image,
    resize_face,
    to_batch,
)
from mien.core.types import Box

PLAIN = CropSpec(scale=1, shift_x=0, shift_y=0)


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


# -- valid images, also unusual ones


def test_rgb_png_comes_back_exactly() -> None:
    pixels = noise(20, 30, 3)
    assert np.array_equal(decode_image(encoded(Image.fromarray(pixels))), pixels)


def test_grey_png_gets_three_equal_channels() -> None:
    pixels = noise(20, 30)
    image = decode_image(encoded(Image.fromarray(pixels)))
    assert image.shape == (20, 30, 3)
    assert all(np.array_equal(image[..., c], pixels) for c in range(3))


@pytest.mark.parametrize(
    ("deep", "expected"),
    [
        ([[0, 257, 32896, 65535]], [[0] * 3, [1] * 3, [128] * 3, [255] * 3]),
        ([[[0, 32896, 65535]]], [[255, 128, 0]]),  # B, G, R
    ],
)
def test_16_bit_pngs_are_scaled_not_clipped(deep: list[object], expected: list[list[int]]) -> None:
    done, data = cv2.imencode(".png", np.array(deep, dtype=np.uint16))
    assert done
    assert decode_image(data.tobytes())[0].tolist() == expected


def test_transparent_pixels_are_blended_with_white() -> None:
    pixels = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 0, 0, 128]]], dtype=np.uint8)
    image = decode_image(encoded(Image.fromarray(pixels)))
    assert image[0].tolist() == [[10, 20, 30], [255, 255, 255], [127, 127, 127]]


def test_palette_with_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    assert decode_image(encoded(image, transparency=bytes([0, 255])))[0].tolist() == [[255, 255, 255], [0, 255, 0]]


def test_one_bit_image() -> None:
    image = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    assert decode_image(encoded(image))[0, :, 0].tolist() == [0, 255]


def test_cmyk_jpeg_keeps_its_colours() -> None:
    red = Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK")
    plain = encoded(red, "JPEG")  # Pillow writes Adobe's inverted CMYK with its marker
    assert b"Adobe" in plain
    assert np.abs(decode_image(plain).astype(int) - (250, 10, 10)).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    upright = noise(5, 7, 3)
    # A camera stores the upright image turned so that the orientation undoes it.
    undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
    transpose = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    image = Image.fromarray(upright)
    stored = image if orientation == 1 else image.transpose(transpose[undo[orientation]])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(decode_image(encoded(stored, exif=exif)), upright)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_orientation_from_xmp(kind: str) -> None:
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="3"/></x:xmpmeta>'
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp)
    stored = Image.fromarray(np.repeat(np.uint8([[0, 255]]), 8, axis=1))
    data = encoded(stored, kind, **({"pnginfo": info} if kind == "PNG" else {"xmp": xmp.encode()}))
    assert decode_image(data)[0, [0, -1], 0].tolist() == [255, 0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_grey_can_stay_grey_with_the_same_values(kind: str) -> None:
    data = encoded(Image.fromarray(noise(48, 40)), kind)
    grey, rgb = decode_image(data, use_grey=True), decode_image(data)
    assert grey.shape == (48, 40)
    assert np.array_equal(np.repeat(grey[:, :, None], 3, axis=2), rgb)
    assert np.array_equal(resize_face(grey, 48, 1), resize_face(rgb, 48, 1))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_use_grey_leaves_other_images_rgb(mode: str) -> None:
    data = encoded(Image.fromarray(noise(8, 8, 3)).convert(mode))
    assert np.array_equal(decode_image(data, use_grey=True), decode_image(data))


def test_grey_with_a_transparent_value_is_blended_with_white() -> None:
    data = encoded(Image.fromarray(np.uint8([[10, 20]])), transparency=10)
    assert decode_image(data, use_grey=True)[0].tolist() == [[255] * 3, [20] * 3]


def test_one_pixel() -> None:
    assert decode_image(encoded(Image.new("RGB", (1, 1), (1, 2, 3)))).tolist() == [[[1, 2, 3]]]


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "WEBP", "PPM"])
def test_other_formats(kind: str) -> None:
    pixels = np.full((16, 16, 3), 200, dtype=np.uint8)
    assert np.abs(decode_image(encoded(Image.fromarray(pixels), kind)).astype(int) - 200).max() <= 2


# -- what is refused


@pytest.mark.parametrize(
    ("name", "expected"),
    [("nosuch.jpg", r"nosuch\.jpg: no such file"), (".", "is a folder"), ("a\0b.png", "cannot be read")],
)
def test_paths_that_cannot_be_read(tmp_path: Path, name: str, expected: str) -> None:
    with pytest.raises(ImageError, match=expected):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", r"x\.png is empty"),
        (b"plain text\n", r"x\.png is not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an"),
    ],
)
def test_files_that_are_not_images(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=expected) as caught:
        read_image(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
@pytest.mark.parametrize("part", [0.3, 0.7])
def test_truncated_files_are_refused(kind: str, part: float) -> None:
    data = encoded(Image.fromarray(noise(64, 64, 3)), kind)
    with pytest.raises(ImageError, match="x is"):
        decode_image(data[: int(len(data) * part)], "x")


def test_every_truncation_gives_an_image_or_an_image_error() -> None:
    data = encoded(Image.fromarray(skimage.data.astronaut()[:40, :40]), "JPEG")
    outcomes = set()
    for length in range(0, len(data), 7):
        try:
            outcomes.add(decode_image(data[:length]).shape)
        except ImageError:
            outcomes.add(None)
    assert None in outcomes
    assert outcomes <= {None, (40, 40, 3)}


def test_damaged_bytes_never_raise_anything_else() -> None:
    outcomes = set()
    rng = np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        data = np.frombuffer(encoded(Image.fromarray(noise(16, 16, 3)), kind), dtype=np.uint8)
        for _ in range(30):
            broken = data.copy()
            broken[rng.integers(len(data), size=4)] = rng.integers(0, 256, 4, dtype=np.uint8)
            try:
                outcomes.add(decode_image(broken.tobytes()).shape[2])
            except ImageError as error:
                outcomes.add(len(str(error).splitlines()))
    assert outcomes <= {1, 3}  # one line, or three channels


@pytest.mark.parametrize("size", [(30_000, 30_000), (11_000, 11_000), (2_000_000_000, 1)])
def test_decompression_bombs_are_refused_by_their_header(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=r"bomb\.png claims .* pixels; expected at most 100 million pixels"):
        decode_image(png_header(*size), "bomb.png")


def test_limits_apply() -> None:
    data = encoded(Image.new("RGB", (10, 10)))
    with pytest.raises(ImageError, match="claims 10 x 10 pixels"):
        decode_image(data, limits=Limits(max_pixels=99))
    with pytest.raises(ImageError, match="larger than"):
        decode_image(data, limits=Limits(max_bytes=len(data) - 1))
    assert decode_image(data, limits=Limits(len(data), 100)).shape == (10, 10, 3)
    with pytest.raises(ImageError, match="max_pixels"):
        Limits(max_pixels=0)


def test_pillow_never_warns_and_filters_are_restored() -> None:
    before = list(warnings.filters)
    almost_a_bomb = png_header(9_900, 9_990)  # Pillow warns from 89 million pixels on

    def attempt(_: int) -> str:
        with pytest.raises(ImageError) as caught:
            decode_image(almost_a_bomb)
        return str(caught.value)

    with ThreadPoolExecutor(4) as pool:
        assert all("truncated" in message for message in pool.map(attempt, range(16)))
    assert warnings.filters == before


# -- arrays


def test_as_rgb_takes_grey_rgb_and_rgba() -> None:
    grey = noise(4, 5)
    assert np.array_equal(as_rgb(grey)[..., 2], grey)
    assert np.array_equal(as_rgb(grey[..., None])[..., 0], grey)
    rgb = noise(4, 5, 3)
    assert np.array_equal(as_rgb(rgb), rgb)
    assert as_rgb(np.zeros((1, 1, 4), np.uint8)).tolist() == [[[255, 255, 255]]]


def test_as_rgb_scales_floats_and_16_bits() -> None:
    assert as_rgb(np.array([[0.0, 0.5, 1.0]]))[0, :, 0].tolist() == [0, 128, 255]
    assert as_rgb(np.array([[0, 65535]], dtype=np.uint16))[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((0, 4, 3), np.uint8), "empty"),
        (np.zeros(4, np.uint8), "shape"),
        (np.zeros((2, 2, 2), np.uint8), "shape"),
        (np.zeros((1, 2, 2, 3), np.uint8), "shape"),
        (np.array([[np.nan]]), "floats outside"),
        (np.array([[255.0]]), "floats outside"),
        (np.array([[1]], dtype=np.int64), "int64"),
    ],
)
def test_as_rgb_refuses(array: NDArray[np.generic], expected: str) -> None:
    with pytest.raises(ImageError, match=expected):
        as_rgb(array)


# -- crops


@pytest.mark.parametrize("shape", [(60, 80), (60, 80, 3)])
def test_a_whole_pixel_crop_is_a_slice(shape: tuple[int, ...]) -> None:
    image = noise(*shape)
    assert np.array_equal(crop_face(image, Box(10, 20, 30, 30), PLAIN), image[20:50, 10:40])


def test_crop_scale_and_shift() -> None:
    image = noise(100, 100)
    crop = crop_face(image, Box(40, 20, 10, 40), CropSpec(scale=1.5, shift_x=0.1, shift_y=-0.2))
    # side = 1.5 * sqrt(10 * 40) = 30, centre = (45, 40) + (3, -6)
    assert np.array_equal(crop, image[19:49, 33:63])


def test_crop_repeats_the_border() -> None:
    image = noise(20, 20)
    crop = crop_face(image, Box(-5, -5, 10, 10), PLAIN)
    assert np.array_equal(crop, np.pad(image[:5, :5], ((5, 0), (5, 0)), mode="edge"))


def test_crop_outside_the_image_is_its_nearest_pixel() -> None:
    image = noise(20, 20)
    assert np.unique(crop_face(image, Box(-50, -50, 9, 9), PLAIN)).tolist() == [image[0, 0]]


def test_crop_is_exact_between_pixels() -> None:
    ramp = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None], 50, axis=0)
    crop = crop_face(ramp, Box(10.5, 10, 20, 20), PLAIN)
    assert crop[0].tolist() == [21 + 2 * i for i in range(20)]


def test_crop_of_a_huge_face_is_small_and_does_not_alias() -> None:
    checks = (np.indices((4096, 4096)).sum(0) % 2 * 255).astype(np.uint8)
    crop = crop_face(checks, Box(0, 0, 4096, 4096), PLAIN)
    assert crop.shape == (1024, 1024)
    assert np.abs(crop.astype(int) - 128).max() <= 2


def test_crop_of_a_huge_face_keeps_its_place() -> None:
    image = np.zeros((3000, 4000), np.uint8)
    image[1000:2000, 1500:2500] = 255
    crop = crop_face(image, Box(1000, 500, 2000, 2000), PLAIN)
    rows, columns = np.nonzero(crop > 128)
    assert [rows.min(), rows.max() + 1, columns.min(), columns.max() + 1] == [256, 768, 256, 768]


def test_crop_of_one_pixel() -> None:
    assert crop_face(np.full((1, 1, 3), 7, np.uint8), Box(0, 0, 1, 1), PLAIN).tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize("box", [Box(0, 0, 0, 5), Box(0, 0, -3, -3), Box(float("nan"), 0, 5, 5)])
def test_crop_refuses_boxes_without_area(box: Box) -> None:
    with pytest.raises(ImageError, match="not a rectangle"):
        crop_face(noise(9, 9), box, PLAIN)


# -- resizing and normalising


def test_a_face_of_the_right_size_is_untouched() -> None:
    face = noise(48, 48)
    assert np.array_equal(resize_face(face, 48, 1), face)
    grey_rgb = np.repeat(face[..., None], 3, axis=2)
    assert np.array_equal(resize_face(grey_rgb, 48, 1), face)
    assert np.array_equal(resize_face(face, 48, 3), grey_rgb)


@pytest.mark.parametrize("shape", [(100, 100), (10, 10, 3), (100, 10), (10, 100, 1), (48, 47, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_resize_gives_the_size_asked_for(shape: tuple[int, ...], channels: int) -> None:
    expected = (48, 48) if channels == 1 else (48, 48, 3)
    resized = resize_face(np.full(shape, 77, np.uint8), 48, channels)
    assert resized.shape == expected
    assert (resized == 77).all()


def test_shrinking_averages() -> None:
    checks = (np.indices((96, 96)).sum(0) % 2 * 200).astype(np.uint8)
    assert (resize_face(checks, 48, 1) == 100).all()


def test_grey_is_bt601_luma() -> None:
    face = np.full((48, 48, 3), (200, 100, 50), np.uint8)
    assert resize_face(face, 48, 1)[0, 0] == round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)


def test_batch_is_normalised_and_in_channel_order() -> None:
    spec = InputSpec(size=8, channels=3, mean=0.4, std=0.2)
    faces = [noise(8, 8, 3, seed=1), noise(8, 8, 3, seed=2)]
    batch = to_batch(faces, spec)
    assert batch.shape == (2, 3, 8, 8)
    assert batch.dtype == np.float32
    expected = (np.stack(faces).astype(np.float64).transpose(0, 3, 1, 2) / 255 - 0.4) / 0.2
    assert np.allclose(batch, expected, atol=1e-6)
    assert to_batch([], spec).shape == (0, 3, 8, 8)


def test_colour_is_removed_for_a_network_of_grey_images() -> None:
    face = noise(20, 20, 3, seed=1)
    for spec in (InputSpec(size=8, channels=3, is_grey=True), InputSpec(size=24, channels=3, is_grey=True)):
        grey = resize_face(face, spec.size, 1)
        fitted = fit_face(face, spec)
        assert np.array_equal(fitted, np.stack([grey] * 3, axis=2))
        assert np.array_equal(fit_face(fitted, spec), fitted)
        assert np.array_equal(to_batch([face], spec), to_batch([grey], spec))
    assert np.array_equal(fit_face(face, InputSpec(size=20, channels=3)), face)


def test_normalize_keeps_float32() -> None:
    result = normalize(np.array([0, 255], np.float32), InputSpec(mean=0.5, std=0.25))
    assert result.dtype == np.float32
    assert result.tolist() == [-2, 2]


def test_transparent_pixels_are_blended_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise(37, 50, 4)
    data = encoded(Image.fromarray(pixels))
    whole = decode_image(data)
    monkeypatch.setattr("mien.core.decoding.PIXELS_BLENDED_AT_ONCE", 160)
    assert np.array_equal(decode_image(data), whole)
    colour, alpha = pixels[..., :3].astype(float), pixels[..., 3:] / 255
    assert np.abs(whole - (colour * alpha + 255 * (1 - alpha))).max() <= 0.5 + 1e-6
