import numpy as np
import pytest
import torch
from torch import nn

from mien.core.errors import ModelError
from mien.explain.randomization import check_sanity, randomize_layers


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


def test_layers_are_randomised_from_the_output_back_and_keep_their_values():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    names, changed = [], []
    for share, name in randomize_layers(model, IMAGES[:1]):
        names.append((share, name))
        changed.append({key.split(".")[0] for key, value in model.state_dict().items() if not value.equal(before[key])})
    assert names == [(0.25, "fc"), (0.5, "second"), (0.75, "first"), (1.0, "unused")]
    assert changed == [{"fc"}, {"fc", "second"}, {"fc", "second", "first"}, {"fc", "second", "first", "unused"}]
    for key, value in model.state_dict().items():
        assert value.flatten().sort().values.equal(before[key].flatten().sort().values)


def test_a_map_that_follows_the_weights_changes_and_an_image_of_edges_does_not():
    model = network()
    passed = check_sanity(model, gradients_of(model), IMAGES, LABELS)
    assert [stop.share for stop in passed] == [0.25, 0.5, 0.75, 1.0]
    assert passed[-1].spearman < 0.8
    model = network()
    failed = check_sanity(model, edges, IMAGES, LABELS)
    assert min(stop.spearman for stop in failed) == pytest.approx(1)
    assert min(stop.ssim for stop in failed) == pytest.approx(1)


def test_the_same_seed_gives_the_same_answer():
    first, second = (
        check_sanity(model, gradients_of(model), IMAGES, LABELS, seed=4) for model in (network(), network())
    )
    assert first == second
    model = network()
    assert check_sanity(model, gradients_of(model), IMAGES, LABELS, seed=5) != first


def test_maps_that_vanish_count_as_changed_and_flat_originals_are_refused():
    calls = iter([edges(IMAGES, LABELS), *[np.zeros((3, 12, 12), np.float32)] * 9])
    assert check_sanity(network(), lambda *_: next(calls), IMAGES, LABELS)[-1].spearman == 0
    with pytest.raises(ModelError, match="A constant map"):
        check_sanity(network(), lambda images, _: np.ones((3, 12, 12), np.float32), IMAGES, LABELS)


def test_a_network_without_weights_is_refused():
    with pytest.raises(ModelError, match="no weights"):
        list(randomize_layers(nn.Flatten(), IMAGES[:1]))
