from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mien.core.errors import ModelError, RecipeError
from mien.models.layers.class_centres import ClassCentres
from mien.models.losses import Problem
from mien.models.losses.registry import create_loss, names
from mien.models.network import Outputs

PROBLEM = Problem((40.0, 4.0, 41.0, 72.0, 48.0, 32.0, 50.0), 4)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_one_hot_targets_give_torchs_cross_entropy(smoothing):
    logits, labels = torch.randn(6, 7), torch.arange(6)
    loss = create_loss("cross_entropy", PROBLEM, {"label_smoothing": smoothing})
    wanted = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(loss(Outputs(logits, torch.zeros(6, 4)), F.one_hot(labels, 7).float()), wanted)


@pytest.mark.parametrize("name", names())
def test_every_loss_is_a_finite_scalar_with_gradients_even_in_half_precision(name):
    torch.manual_seed(0)
    given = [50 * torch.randn(8, 7), torch.randn(8, 4), torch.rand(8, 2, 3, 3)]
    outputs = Outputs(*(tensor.to(torch.bfloat16).requires_grad_() for tensor in given))
    loss = create_loss(name, PROBLEM)(outputs, torch.eye(7)[[0, 0, 1, 1, 2, 2, 3, 3]])
    loss.backward()
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert any(tensor.grad is not None and tensor.grad.abs().sum() > 0 for tensor in outputs)


@pytest.mark.parametrize("name", names())
def test_a_class_without_training_images_keeps_the_loss_finite(name):
    torch.manual_seed(0)
    outputs = Outputs(torch.randn(6, 7), torch.randn(6, 4), torch.rand(6, 2, 3, 3))
    targets = torch.eye(7)[[0, 0, 2, 2, 3, 3]]
    loss = create_loss(name, Problem((40.0, 0.0, 41.0, 72.0, 48.0, 32.0, 50.0), 4))
    value = loss(outputs, targets)
    assert value.isfinite()
    assert value.abs() < 100


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cross_entrop", {}, "Did you mean 'cross_entropy'? Known: "),
        ("cross_entropy", {"smoothing": 0.1}, "Options: label_smoothing."),
        ("cross_entropy", {"label_smoothing": "much"}, "is 'much'; expected float"),
        ("cross_entropy", {"label_smoothing": 1.5}, "label_smoothing is 1.5; it must be"),
        ("soft_cross_entropy", {"x": 1}, "Options: none."),
        ("weighted_cross_entropy", {"x": 1}, "Options: none."),
        ("feature_affinity", {"momentum": 0}, "momentum is 0; it must be above 0"),
        ("attention_diversity", {"alpha": -0.5}, "alpha and beta are -0.5 and 0.3; both must be at least 0"),
    ],
)
def test_bad_names_and_options_list_the_valid_ones(name, options, words):
    with pytest.raises(RecipeError) as caught:
        create_loss(name, PROBLEM, options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ModelError, match=r"logits of shape \(2, 7\) and targets of shape \(2, 8\)"):
        create_loss("soft_cross_entropy", PROBLEM)(Outputs(torch.zeros(2, 7), torch.zeros(2, 4)), torch.zeros(2, 8))


def test_class_centres_are_exact_where_networks_calculate_in_16_bits():
    torch.manual_seed(0)
    features, targets = torch.randn(64, 8), torch.eye(7)[torch.arange(64) % 7]
    plain, mixed = ClassCentres(7, 8), ClassCentres(7, 8)
    plain.update(features, targets)
    with torch.autocast("cpu", torch.bfloat16):
        mixed.update(features, targets)
    assert torch.equal(mixed.centres, plain.centres)


def test_penalty_of_16_bit_features_is_computed_in_float32():
    loss = create_loss("intra_class_distance", Problem((1.0,) * 2, 4)).train()
    features = (300 * torch.randn(4, 4)).to(torch.float16).requires_grad_()
    value = loss(Outputs(torch.zeros(4, 2), features), torch.eye(2).repeat(2, 1))
    assert value.dtype == torch.float32
    assert value.isfinite()
