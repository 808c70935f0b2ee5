"""Images left in their files: the same images as those read at once, and nothing read before it is needed."""

import numpy as np
import pytest
from PIL import Image

from mien.core.card import CropSpec
from mien.core.decoding import read_image
from mien.core.errors import DataError
from mien.core.image import crop_face, resize_face
from mien.core.types import Box
from mien.data import lazy_images
from mien.data.check import check
from mien.data.duplicates import duplicate_mask
from mien.data.lazy_images import LazyImages, read_images
from mien.data.options import LoadOptions
from mien.data.registry import load


def draw(path, seed, size=(40, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def tree(tmp_path):
    """Two labels in two splits; the first validation image is the first training image again."""
    for number in range(6):
        draw(tmp_path / "faces" / "train" / ("angry", "happy")[number % 2] / f"{number}.png", number)
    draw(tmp_path / "faces" / "validation" / "angry" / "0.png", 0)
    draw(tmp_path / "faces" / "validation" / "happy" / "1.png", 9)
    return tmp_path / "faces"


@pytest.mark.parametrize("channels", [1, 3])
def test_a_lazy_data_set_is_the_one_read_at_once(tree, channels):
    whole = load("folder", tree, LoadOptions(image_size=24, channels=channels))
    lazy = load("folder", tree, LoadOptions(image_size=24, channels=channels, use_lazy_images=True))
    assert isinstance(whole.images, np.ndarray)
    assert isinstance(lazy.images, LazyImages)
    assert isinstance(lazy.split("train").images, LazyImages)
    assert lazy.images.shape == whole.images.shape
    assert lazy.fingerprint == whole.fingerprint
    assert check(lazy) == check(whole)
    assert duplicate_mask(lazy).tolist() == duplicate_mask(whole).tolist()
    assert duplicate_mask(lazy).sum() == 1
    for rows in (np.array([4, 0, 4]), whole.labels == 1, slice(2, 5)):
        assert np.array_equal(np.asarray(lazy.images[rows]), whole.images[rows])
    assert np.array_equal(np.stack(list(lazy.images)), whole.images)


def test_nothing_is_read_before_it_is_needed(tree, monkeypatch):
    read = []
    monkeypatch.setattr(lazy_images, "read_image", lambda path: read.append(path) or np.zeros((9, 9, 3), np.uint8))
    train = load("folder", tree, LoadOptions(use_lazy_images=True)).split("train").subset(np.array([3, 1]))
    assert not read
    assert train.images[1].shape == (48, 48)
    assert [str(path) for path in read] == [train.paths[1]]


@pytest.mark.parametrize("crop", [CropSpec(), CropSpec(scale=1.5, shift_x=0.1)])
@pytest.mark.parametrize("lazy", [False, True])
def test_faces_are_cut_out_where_boxes_are_known(tmp_path, lazy, crop):
    paths = [draw(tmp_path / f"{seed}.png", seed) for seed in range(2)]
    box = Box(5, 5, 20, 20)
    images = read_images(paths, LoadOptions(image_size=16, crop=crop, use_lazy_images=lazy), [None, box])
    assert np.array_equal(images[0], resize_face(read_image(paths[0]), 16, 1))
    assert np.array_equal(images[1], resize_face(crop_face(read_image(paths[1]), box, crop), 16, 1))
    assert np.array_equal(np.asarray(images[1:])[0], images[1])


@pytest.mark.parametrize("lazy", [False, True])
def test_unreadable_files_are_named(tmp_path, lazy):
    paths = [draw(tmp_path / "good.png", 0), tmp_path / "bad.png"]
    paths[1].write_bytes(b"no image")
    with pytest.raises(DataError, match=r"bad\.png") as caught:
        np.asarray(read_images(paths, LoadOptions(use_lazy_images=lazy)))
    assert "\n" not in str(caught.value)


def test_no_memory_is_one_line(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise MemoryError

    images = LazyImages(np.array(["a"] * 4), np.zeros((4, 4)), LoadOptions(image_size=1024, channels=3))
    monkeypatch.setattr(lazy_images.np, "empty", refuse)
    with pytest.raises(DataError, match=r"shape 4 x 1024 x 1024 x 3 need 0\.0 GiB.*training\.workers"):
        images.__array__()
