"""Augmentation, mixup and the made images that are not faces."""

import pytest
import torch

from mien.recipes.schema import AugmentationSettings
from mien.training.augment import Augmentation, cut_mix, make_not_faces, mix, mix_up, move


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
        {"contrast": 0.3, "contrast_about": "mean"},
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


def test_noise_changes_every_other_face_by_its_deviation():
    torch.manual_seed(0)
    faces = torch.full((400, 1, 24, 24), 0.5)
    noise = Augmentation(AugmentationSettings(flip=0, noise=0.1), 1)(faces) - faces
    changed = noise.std((1, 2, 3)) > 0
    assert 0.4 < changed.float().mean() < 0.6
    assert noise[changed].std() == pytest.approx(0.1, rel=0.05)


def test_grayscale_removes_colour_and_leaves_grey_faces_alone(faces):
    settings = AugmentationSettings(flip=0, grayscale=1)
    grey = Augmentation(settings, 3)(torch.rand(4, 3, 8, 8))
    assert torch.allclose(grey[:, 0], grey[:, 1])
    assert torch.equal(Augmentation(settings, 1)(faces), faces)


def test_images_of_a_batch_are_changed_differently(faces):
    same = faces[:1].expand(16, -1, -1, -1)
    changed = Augmentation(AugmentationSettings(flip=0, rotation=20), 1)(same)
    assert len({float(image.sum()) for image in changed}) == 16


class TestMove:
    """Five random numbers per image: angle, scale, mirror, shift across and down; 1 is the end of each range."""

    @pytest.fixture
    def draw(self, monkeypatch):
        def fix(angle=0.5, scale=0.5, mirror=1.0, across=0.5, down=0.5):
            drawn = torch.tensor([angle, scale, mirror, across, down])[:, None]
            monkeypatch.setattr(torch, "rand", lambda *shape, device: drawn.expand(shape))

        return fix

    def test_a_quarter_turn_is_clockwise(self, faces, draw):
        draw(angle=1.0)
        assert torch.allclose(move(faces, AugmentationSettings(rotation=90)), faces.rot90(-1, (2, 3)), atol=1e-4)

    def test_a_mirror(self, faces, draw):
        draw(mirror=0.49)
        assert torch.allclose(move(faces, AugmentationSettings(flip=0.5, translate=0.1)), faces.flip(3), atol=1e-5)

    def test_a_shift_repeats_the_edge(self, faces, draw):
        draw(across=1.0, down=0.0)
        moved = move(faces, AugmentationSettings(translate=0.25))
        assert torch.allclose(moved[:, :, :36, 12:], faces[:, :, 12:, :36], atol=1e-4)
        assert torch.allclose(moved[:, :, :36, :12], faces[:, :, 12:, :1].expand(-1, -1, -1, 12), atol=1e-4)

    def test_a_scale_is_about_the_middle(self, draw):
        draw(scale=1.0)
        face = torch.zeros(1, 1, 48, 48)
        face[:, :, 20:28, 18:30] = 1
        moved = move(face, AugmentationSettings(scale=0.5))
        wanted = torch.zeros(1, 1, 48, 48)
        wanted[:, :, 18:30, 15:33] = 1
        assert (moved - wanted).abs().mean() < 0.01
        assert float(moved.sum()) == pytest.approx(float(wanted.sum()), rel=0.02)


def test_erased_patches_are_rectangles_within_their_area():
    torch.manual_seed(0)
    settings = AugmentationSettings(flip=0, erasing=0.25, erasing_area=0.2)
    erased = Augmentation(settings, 1)(torch.zeros(4000, 1, 60, 60)) == 0.5
    area = erased.float().mean((1, 2, 3))
    hit = area > 0
    assert hit.float().mean() == pytest.approx(0.25, abs=0.03)
    assert area[hit].min() > 0.015
    assert area[hit].max() < 0.22
    assert area[hit].mean() == pytest.approx(0.11, abs=0.01)  # uniform from 0.02 to 0.2
    rows, columns = erased.any(3).sum(2)[hit].float(), erased.any(2).sum(2)[hit].float()
    assert torch.equal(rows * columns, erased.sum((1, 2, 3))[hit, None].float())
    assert (rows / columns).max() < 4
    assert (columns / rows).max() < 4


def test_brightness_is_added_and_contrast_multiplied():
    torch.manual_seed(0)
    faces = torch.full((2000, 1, 4, 4), 0.4)
    faces[:, :, 0] = 0.5
    brighter = Augmentation(AugmentationSettings(flip=0, brightness=0.2), 1)(faces)
    assert torch.allclose(brighter[:, :, 0] - brighter[:, :, 1], torch.tensor(0.1), atol=1e-5)
    assert brighter[:, :, 0].min() == pytest.approx(0.3, abs=0.01)
    assert brighter[:, :, 0].max() == pytest.approx(0.7, abs=0.01)
    stronger = Augmentation(AugmentationSettings(flip=0, contrast=0.5), 1)(faces)
    assert torch.allclose(stronger[:, :, 0] / stronger[:, :, 1], torch.tensor(1.25), atol=1e-5)
    assert stronger[:, :, 0].min() == pytest.approx(0.25, abs=0.01)
    assert stronger[:, :, 0].max() == pytest.approx(0.75, abs=0.01)


def test_contrast_about_the_mean_keeps_the_mean():
    torch.manual_seed(0)
    faces = torch.rand(100, 3, 6, 6) * 0.4 + 0.3
    changed = Augmentation(AugmentationSettings(flip=0, contrast=0.3, contrast_about="mean"), 3)(faces)
    luma = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    before, after = ((luma * images).sum(1).flatten(1) for images in (faces, changed))
    assert torch.allclose(before.mean(1), after.mean(1), atol=1e-5)
    spread = after.std(1) / before.std(1)
    assert spread.min() == pytest.approx(0.7, abs=0.02)
    assert spread.max() == pytest.approx(1.3, abs=0.02)


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


def test_augmentation_is_not_trained():
    parameters = list(Augmentation(AugmentationSettings(randaugment=2), 3).parameters())
    assert parameters  # kornia's
    assert not any(parameter.requires_grad for parameter in parameters)


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
