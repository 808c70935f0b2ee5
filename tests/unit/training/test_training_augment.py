"""Augmentation, mixup and the pictures that are not faces."""

import pytest
import torch

from mien.training.augment import Augmentation, cut_mix, make_not_faces, mix, mix_up
from mien.training.recipe import AugmentationSettings


@pytest.fixture
def faces():
    torch.manual_seed(0)
    return torch.rand(64, 1, 48, 48)


def test_all_zero_changes_nothing(faces):
    assert torch.equal(Augmentation(AugmentationSettings(flip=0), 1)(faces), faces)


def test_certain_flip_mirrors_left_and_right(faces):
    assert torch.allclose(Augmentation(AugmentationSettings(flip=1), 1)(faces), faces.flip(3))


@pytest.mark.parametrize(
    "setting",
    [
        {"rotation": 15},
        {"scale": 0.2},
        {"translate": 0.1},
        {"brightness": 0.3},
        {"contrast": 0.3},
        {"erasing": 1.0},
        {"noise": 0.1},
        {"randaugment": 2, "randaugment_magnitude": 20},
    ],
)
def test_each_setting_changes_the_faces_and_keeps_their_range(faces, setting):
    changed = Augmentation(AugmentationSettings(flip=0, **setting), 1)(faces)
    assert changed.shape == faces.shape
    assert not torch.allclose(changed, faces)
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_noise_touches_every_other_face_by_its_deviation():
    torch.manual_seed(0)
    faces = torch.full((400, 1, 24, 24), 0.5)
    noise = Augmentation(AugmentationSettings(flip=0, noise=0.1), 1)(faces) - faces
    touched = noise.std((1, 2, 3)) > 0
    assert 0.4 < touched.float().mean() < 0.6
    assert noise[touched].std() == pytest.approx(0.1, rel=0.05)


def test_grayscale_takes_the_colour_and_leaves_grey_faces_alone(faces):
    settings = AugmentationSettings(flip=0, grayscale=1)
    grey = Augmentation(settings, 3)(torch.rand(4, 3, 8, 8))
    assert torch.allclose(grey[:, 0], grey[:, 1])
    assert torch.equal(Augmentation(settings, 1)(faces), faces)


def test_images_of_a_batch_are_changed_differently(faces):
    same = faces[:1].expand(16, -1, -1, -1)
    changed = Augmentation(AugmentationSettings(flip=0, rotation=20), 1)(same)
    assert len({float(image.sum()) for image in changed}) == 16


def test_mixup_blends_images_and_targets_alike():
    torch.manual_seed(1)
    targets = torch.eye(8)
    images = targets[:, None, None, :].expand(8, 1, 2, 8)
    mixed, mixed_targets = mix_up(images, targets, 0.5)
    assert torch.allclose(mixed[:, 0, 0], mixed_targets)
    assert torch.allclose(mixed_targets.sum(1), torch.ones(8))
    assert not torch.equal(mixed_targets, targets)


def test_cutmix_blends_targets_by_the_area_it_covers():
    torch.manual_seed(2)
    targets = torch.eye(8)
    images = targets.argmax(1).float()[:, None, None, None].expand(8, 1, 20, 30)
    for _ in range(20):
        mixed, mixed_targets = cut_mix(images, targets, 1.0)
        for label, image, target in zip(range(8), mixed, mixed_targets, strict=True):
            assert (image == label).float().mean().item() == pytest.approx(target[label].item(), abs=1e-5)
    assert torch.equal(images[:, 0, 0, 0], torch.arange(8.0))


def test_both_kinds_of_mixing_take_turns():
    settings = AugmentationSettings(mixup=0.4, cutmix=1.0)
    images, targets = torch.rand(8, 1, 16, 16), torch.eye(8)
    values = set()
    for seed in range(20):
        torch.manual_seed(seed)
        mixed, _ = mix(images, targets, settings)
        values.add(bool(torch.isin(mixed, images).all()))  # cutmix only moves pixels
    assert values == {True, False}
    assert mix(images, targets, AugmentationSettings()) == (images, targets)


def test_random_policies_vary_within_a_batch():
    torch.manual_seed(0)
    same = torch.rand(1, 1, 48, 48).expand(64, -1, -1, -1)
    changed = Augmentation(AugmentationSettings(flip=0, randaugment=1), 1)(same)
    assert len({round(float(image.mean()), 4) for image in changed}) > 2


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
