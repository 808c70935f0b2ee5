"""Corruption training: what each corruption does, how often, and that the same seed does the same."""

import math

import pytest
import torch
from interrupted import break_off
from tiny_recipe import tiny_recipe

from mien.recipes.corruption import CorruptionSettings
from mien.recipes.schema import AugmentationSettings
from mien.training import damage
from mien.training.augment import move
from mien.training.corrupt import Corruption, consistency
from mien.training.fit import fit

KINDS = (
    *("low_light", "over_exposure", "noise", "blur", "motion_blur"),
    *("down_scaling", "jpeg", "cover", "rotation", "crop"),
)


def corruption(channels=1, **settings):
    return Corruption(CorruptionSettings(**settings), channels)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def smooth():
    """Smooth images with some contrast, unlike noise."""
    return torch.nn.functional.interpolate(torch.rand(40, 1, 6, 6), (48, 48), mode="bicubic").clamp(0, 1)


def test_every_kind_is_tested():
    limits = ("_stops", "_electrons", "_deviation", "_length", "_factor", "_step", "_degrees", "_scale", "_shift")
    assert {*KINDS, "consistency"} == {n for n in CorruptionSettings.model_fields if not n.endswith(limits)} | {
        "down_scaling"
    }


def test_nothing_is_drawn_or_changed_without_corruptions(smooth):
    state = torch.get_rng_state()
    assert corruption(noise_deviation=1.0)(smooth) is smooth
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "size"), [(1, 48), (3, 35)])
def test_a_corruption_keeps_shape_and_range_and_hits_its_share_of_a_batch(kind, channels, size):
    faces = torch.rand(20, channels, size, size)
    changed = corruption(channels, **{kind: 0.25})(faces)
    assert changed.shape == faces.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert torch.isfinite(changed).all()
    hit = (changed != faces).flatten(1).any(1)
    assert hit.sum() == 5


def test_a_share_is_rounded_at_random():
    one = torch.rand(1, 1, 8, 8)
    hits = sum(not torch.equal(corruption(noise=0.3)(one), one) for _ in range(300))
    assert hits == pytest.approx(90, abs=30)


@pytest.mark.parametrize("kind", KINDS)
def test_faces_of_a_batch_are_corrupted_differently_and_repeatably(smooth, kind):
    same = smooth[:1].expand(12, -1, -1, -1)
    torch.manual_seed(5)
    first = corruption(**{kind: 1.0})(same)
    assert len({float(image.sum()) for image in first}) > 5
    torch.manual_seed(5)
    assert torch.equal(corruption(**{kind: 1.0})(same), first)


def test_grey_images_of_three_channels_stay_grey(smooth):
    grey = smooth.expand(-1, 3, -1, -1)
    changed = corruption(1, **dict.fromkeys(KINDS, 0.8))(grey)
    assert changed.shape == grey.shape
    assert (changed == changed[:, :1]).all()


class TestDamage:
    def test_less_light_is_darker_and_its_noise_is_that_of_its_electrons(self):
        grey = torch.full((1, 1, 200, 200), 0.5)
        stops, electrons, no, gamma = (torch.tensor([value]) for value in (1.0, 160.0, 0.0, 2.2))
        seen = damage.take_light(grey, stops, electrons, no, gamma)
        light = 0.5**2.2 / 2
        assert (seen**2.2).mean() == pytest.approx(light, rel=0.02)
        assert (seen**2.2).std() == pytest.approx(math.sqrt(light * 160 + 4) / 160, rel=0.05)

    def test_amplification_brings_back_the_light_with_its_noise(self):
        grey = torch.full((1, 1, 200, 200), 0.5)
        two, electrons, whole, gamma = (torch.tensor([value]) for value in (2.0, 2000.0, 1.0, 2.2))
        seen = damage.take_light(grey, two, electrons, whole, gamma)
        assert (seen**2.2).mean() == pytest.approx(0.5**2.2, rel=0.02)
        full = damage.take_light(grey, torch.zeros(1), electrons, whole, gamma)
        assert seen.std() > 1.7 * full.std()

    def test_more_light_clips_at_white(self):
        values = torch.linspace(0, 1, 48).expand(1, 1, 48, 48)
        seen = damage.add_light(values, torch.tensor([1.0]), torch.tensor([2.0]))
        torch.testing.assert_close(seen, (values * math.sqrt(2)).clamp(max=1))

    @pytest.mark.parametrize("is_coarse", [False, True])
    def test_noise_has_its_deviation(self, is_coarse):
        grey = torch.full((1, 1, 150, 150), 0.5)
        noise = damage.add_noise(grey, torch.tensor([0.05]), torch.tensor([is_coarse])) - grey
        assert noise.std() == pytest.approx(0.05, rel=0.05)
        neighbours = torch.corrcoef(torch.stack([noise[..., 1:].flatten(), noise[..., :-1].flatten()]))[0, 1]
        assert (neighbours > 0.3) == is_coarse

    def test_a_blur_has_its_deviation_and_none_changes_nothing(self):
        point = torch.zeros(2, 1, 49, 49)
        point[:, :, 24, 24] = 1
        seen = damage.blur(point, torch.tensor([0.0, 3.0]))
        assert torch.equal(seen[0], point[0])
        place = torch.arange(49) - 24.0
        assert (seen[1, 0].sum(0) * place**2).sum().sqrt() == pytest.approx(3, rel=0.01)
        assert (seen[1, 0].sum(1) * place**2).sum().sqrt() == pytest.approx(3, rel=0.01)
        flat = torch.full((1, 1, 20, 20), 0.3)
        torch.testing.assert_close(damage.blur(flat, torch.tensor([4.0])), flat)

    def test_motion_spreads_a_point_along_its_line(self):
        point = torch.zeros(2, 1, 49, 49)
        point[:, :, 24, 24] = 1
        seen = damage.blur_by_motion(point, torch.tensor([10.0, 10.0]), torch.tensor([0.0, math.pi / 2]), 40)
        wide, tall = seen.sum((1, 2)), seen.sum((1, 3))
        assert (wide[0] > 0.01).sum() == pytest.approx(11, abs=2)
        assert (tall[0] > 0.01).sum() <= 3
        assert (tall[1] > 0.01).sum() == pytest.approx(11, abs=2)
        torch.testing.assert_close(seen.sum((1, 2, 3)), torch.ones(2))

    def test_shrinking_removes_detail_and_one_changes_nothing(self):
        stripes = (torch.arange(48) % 2).float().expand(2, 1, 48, 48)
        seen = damage.shrink(stripes, torch.tensor([1.0, 4.0]), 8)
        torch.testing.assert_close(seen[0], stripes[0], atol=1e-4, rtol=0)
        assert seen[1].std() < 0.1
        flat = torch.full((3, 1, 48, 48), 0.7)
        torch.testing.assert_close(damage.shrink(flat, torch.tensor([1.5, 3.0, 5.0]), 8), flat)

    @pytest.mark.parametrize("size", [48, 35])
    def test_compression_loses_more_with_a_larger_step(self, size):
        image = torch.rand(1, 1, size, size).expand(3, -1, -1, -1)
        seen = damage.compress(image, torch.tensor([1e-4, 0.1, 0.6]))
        loss = (seen - image).abs().mean((1, 2, 3))
        assert loss[0] < 1e-3 < loss[1] < loss[2]

    def test_compression_keeps_whole_blocks_of_one_frequency(self):
        """A block of one shade has only the lowest frequency, which is a multiple of the step here."""
        flat = torch.full((1, 1, 16, 16), 0.5 + 0.25 / 8)
        torch.testing.assert_close(damage.compress(flat, torch.tensor([0.25])), flat)

    def test_patches_are_where_they_should_be(self):
        ranges = torch.tensor(damage.PATCHES)
        black = torch.zeros(2000, 1, 32, 32)
        for kind, rows, covered, free in (
            ("mouth", slice(0, 4), (24, 16), (8, 16)),
            ("eyes", slice(4, 8), (12, 16), (27, 16)),
            ("left", slice(8, 9), (16, 4), (16, 28)),
            ("lower", slice(11, 12), (28, 16), (4, 16)),
        ):
            seen = damage.cover(black, ranges[rows]) > 0.02
            share = seen.float().mean((0, 1))
            assert share[covered] > 0.4, kind  # half of the patches are as dark as the image
            assert share[free] < 0.02, kind

    def test_a_patch_takes_the_image_own_shade_or_another(self):
        grey = torch.full((500, 1, 32, 32), 0.5)
        patches = (damage.cover(grey, torch.tensor(damage.PATCHES)) - 0.5).abs().amax((1, 2, 3))
        assert 0.3 < (patches > 0.2).float().mean() < 0.7


def test_pose_is_that_of_the_augmentation(smooth):
    torch.manual_seed(1)
    changed = corruption(rotation=1.0, rotation_degrees=90)(smooth)
    torch.manual_seed(1)
    torch.rand(())
    rows = torch.randperm(len(smooth))
    expected = smooth.clone()
    expected[rows] = move(smooth[rows], AugmentationSettings(flip=0, rotation=90))
    torch.testing.assert_close(changed, expected)


def test_consistency_is_its_equation_and_moves_the_corrupted_half_only():
    logits = torch.randn(6, 4, requires_grad=True)
    loss = consistency(logits)
    p, q = logits[:3].softmax(1), logits[3:].softmax(1)
    assert loss.item() == pytest.approx((p * (p / q).log()).sum(1).mean().item(), rel=1e-5)
    loss.backward()
    assert not logits.grad[:3].any()
    assert logits.grad[3:].any()


def test_a_run_with_corruptions_is_resumed_bit_for_bit(faces, tmp_path):
    wanted = tiny_recipe(
        data={"not_a_face_share": 0.1},
        schedule={"epochs": 3},
        corruption=dict.fromkeys(KINDS, 0.3) | {"consistency": 0.5},
        training={"use_deterministic": True, "ema_decay": 0.9},
    )
    fit(wanted, faces, tmp_path / "whole", quiet=True)
    break_off(wanted, faces, tmp_path / "broken", epoch=2)
    fit(wanted, faces, tmp_path / "broken", resume=True, quiet=True)
    states = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "broken")
    ]
    assert not any("corrupt" in name for name in states[0])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
