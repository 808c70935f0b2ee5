"""Similarity of maps, their stability under shifts, and the comparison with randomized weights."""

import numpy as np
import pytest
import torch
from planted_network import patch_maps, planted_faces
from scipy import stats
from skimage.metrics import structural_similarity
from torch import nn

from mien.explain.sanity import SHIFTS, compare_randomized, measure_stability, shift, shuffle_layers
from mien.explain.similarity import is_constant, pearson, spearman, ssim


def maps(seed=0, shape=(32, 40)):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=shape).astype(np.float32)
    return first, (0.6 * first + rng.normal(size=shape)).astype(np.float32)


def test_correlations_agree_with_another_implementation():
    first, second = maps()
    assert pearson(first, second) == pytest.approx(stats.pearsonr(first.ravel(), second.ravel()).statistic, abs=1e-6)
    tied = np.round(first), np.round(second)
    assert spearman(*tied) == pytest.approx(stats.spearmanr(tied[0].ravel(), tied[1].ravel()).statistic, abs=1e-9)


def test_structural_similarity_agrees_with_another_implementation():
    first, second = (np.abs(values) / np.abs(values).max() for values in maps())
    first, second = ((values - values.min()) / np.ptp(values) for values in (first, second))
    expected = structural_similarity(
        first, second, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    # that implementation leaves out a border of five pixels
    assert ssim(first, second) == pytest.approx(expected, abs=0.02)


def test_a_constant_map_has_no_correlation():
    first, _ = maps()
    assert np.isnan([pearson(first, np.full_like(first, 3)), spearman(np.zeros_like(first), first)]).all()
    assert is_constant(np.full((4, 4), 0.1, dtype=np.float32))
    assert not is_constant(np.eye(4) * 1e-9)


ONES = np.ones(4, dtype=np.int64)


def brightness_maps(images, labels):
    return images[:, 0]


def test_a_map_that_moves_with_the_face_is_stable():
    images = planted_faces(4)
    flat = np.ones((4, 16, 16), dtype=np.float32)
    moving = measure_stability(brightness_maps, images, brightness_maps(images, ONES), ONES)
    np.testing.assert_allclose(moving, 1, atol=1e-5)
    still = measure_stability(patch_maps, images, patch_maps(images, ONES), ONES)
    assert ((still < 0.9) & (still > 0.3)).all()
    assert np.isnan(measure_stability(lambda i, _: flat, images, flat, ONES)).all(), "a constant map has no stability"


@pytest.mark.parametrize(("down", "right"), SHIFTS)
def test_shifting_moves_by_one_pixel_repeats_the_border_and_can_be_undone(down, right):
    image = np.arange(30, dtype=np.float32).reshape(1, 1, 5, 6)
    moved = shift(image, down, right)
    assert moved[0, 0, 2 + down, 2 + right] == image[0, 0, 2, 2]
    np.testing.assert_array_equal(shift(moved, -down, -right)[..., 1:-1, 1:-1], image[..., 1:-1, 1:-1])
    edge = (slice(None),) * (2 if down else 3) + (0 if down + right > 0 else -1,)
    np.testing.assert_array_equal(moved[edge], image[edge])


class Reversed(nn.Module):
    """Layers that are registered in another order than they run, and one that is never called."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 3)
        self.unused = nn.Linear(2, 2)
        self.second = nn.Conv2d(4, 8, 3, padding=1)
        self.first = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, images):
        return self.fc(torch.relu(self.second(torch.relu(self.first(images)))).mean((2, 3)))


def network():
    torch.manual_seed(0)
    return Reversed().eval()


def gradients_of(model):
    def explain(images, labels):
        pixels = torch.from_numpy(images).requires_grad_()
        model(pixels)[torch.arange(len(images)), torch.from_numpy(labels)].sum().backward()
        return (pixels.grad * pixels).abs()[:, 0].detach().numpy()

    return explain


def edges(images, labels):
    return np.abs(np.diff(images[:, 0], axis=1, prepend=0))


IMAGES = np.random.default_rng(0).normal(size=(3, 1, 12, 12)).astype(np.float32)
LABELS = np.array([0, 1, 2])


def test_layers_are_randomized_from_the_output_back_and_keep_their_values():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    names, changed = [], []
    for share, name in shuffle_layers(model, IMAGES[:1]):
        names.append((share, name))
        changed.append({key.split(".")[0] for key, value in model.state_dict().items() if not value.equal(before[key])})
    assert names == [(0.25, "fc"), (0.5, "second"), (0.75, "first"), (1.0, "unused")]
    assert changed == [{"fc"}, {"fc", "second"}, {"fc", "second", "first"}, {"fc", "second", "first", "unused"}]
    for key, value in model.state_dict().items():
        assert value.flatten().sort().values.equal(before[key].flatten().sort().values)


def test_a_map_that_follows_the_weights_changes_and_an_image_of_edges_does_not():
    model = network()
    passed = compare_randomized(model, gradients_of(model), IMAGES, LABELS)
    assert [stop["share"] for stop in passed] == [0.25, 0.5, 0.75, 1.0]
    assert passed[-1]["spearman"] < 0.8
    model = network()
    failed = compare_randomized(model, edges, IMAGES, LABELS)
    assert min(stop["spearman"] for stop in failed) == pytest.approx(1)
    assert min(stop["ssim"] for stop in failed) == pytest.approx(1)


def test_maps_that_vanish_count_as_changed():
    calls = iter([edges(IMAGES, LABELS), *[np.zeros((3, 12, 12), np.float32)] * 9])
    assert compare_randomized(network(), lambda *_: next(calls), IMAGES, LABELS)[-1]["spearman"] == 0
