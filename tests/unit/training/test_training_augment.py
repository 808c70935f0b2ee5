"""Augmentation, mixup and the pictures that are not faces."""

import pytest
import torch

from mien.training.augment import Augmentation, make_not_faces, mix_up
from mien.training.recipe import AugmentationSettings


@pytest.fixture
def faces():
    torch.manual_seed(0)
    return torch.rand(64, 1, 48, 48)


def test_all_zero_changes_nothing(faces):
    assert torch.equal(Augmentation(AugmentationSettings(flip=0))(faces), faces)


def test_certain_flip_mirrors_left_and_right(faces):
    assert torch.allclose(Augmentation(AugmentationSettings(flip=1))(faces), faces.flip(3))


@pytest.mark.parametrize(
    "setting",
    [
        {"rotation": 15},
        {"scale": 0.2},
        {"translate": 0.1},
        {"brightness": 0.3},
        {"contrast": 0.3},
        {"erasing": 1.0},
    ],
)
def test_each_setting_changes_the_faces_and_keeps_their_range(faces, setting):
    changed = Augmentation(AugmentationSettings(flip=0, **setting))(faces)
    assert changed.shape == faces.shape
    assert not torch.allclose(changed, faces)
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_images_of_a_batch_are_changed_differently(faces):
    same = faces[:1].expand(16, -1, -1, -1)
    changed = Augmentation(AugmentationSettings(flip=0, rotation=20))(same)
    assert len({float(image.sum()) for image in changed}) == 16


def test_mixup_blends_images_and_targets_alike():
    torch.manual_seed(1)
    targets = torch.eye(8)
    images = targets[:, None, None, :].expand(8, 1, 2, 8)
    mixed, mixed_targets = mix_up(images, targets, 0.5)
    assert torch.allclose(mixed[:, 0, 0], mixed_targets)
    assert torch.allclose(mixed_targets.sum(1), torch.ones(8))
    assert not torch.equal(mixed_targets, targets)


@pytest.mark.parametrize("size", [48, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_not_faces_have_the_faces_shape_and_range(size, channels):
    torch.manual_seed(0)
    made = make_not_faces(torch.rand(4, channels, size, size), 13)
    assert made.shape == (13, channels, size, size)
    assert made.min() >= 0
    assert made.max() <= 1
    assert torch.isfinite(made).all()


def test_no_not_face_is_the_face_itself():
    torch.manual_seed(0)
    face = torch.rand(1, 1, 48, 48)
    made = make_not_faces(face, 200)
    assert (made - face).abs().mean((1, 2, 3)).min() > 0.05
