from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from mien.core.errors import ModelError, RecipeError
from mien.models.losses.registry import create_loss, names


def test_names_are_the_files():
    assert {"cross_entropy", "soft_cross_entropy"} <= set(names())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_class_numbers_and_their_distributions_give_torchs_cross_entropy(smoothing):
    logits, labels = torch.randn(6, 7), torch.arange(6)
    loss = create_loss("cross_entropy", {"label_smoothing": smoothing})
    wanted = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(loss(logits, labels), wanted)
    torch.testing.assert_close(loss(logits, F.one_hot(labels, 7).float()), wanted)


@pytest.mark.parametrize("name", names())
def test_every_loss_is_a_finite_scalar_with_gradients_even_in_half_precision(name):
    logits = (50 * torch.randn(4, 7)).to(torch.bfloat16).requires_grad_()
    loss = create_loss(name)(logits, torch.rand(4, 7).softmax(1))
    loss.backward()
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("cross_entrop", {}, "Did you mean 'cross_entropy'? Known: cross_entropy, soft_cross_entropy"),
        ("cross_entropy", {"smoothing": 0.1}, "Options: label_smoothing."),
        ("cross_entropy", {"label_smoothing": "much"}, "is 'much'; expected float"),
        ("cross_entropy", {"label_smoothing": 1.5}, "label_smoothing is 1.5; it must be"),
        ("soft_cross_entropy", {"x": 1}, "Options: none."),
    ],
)
def test_bad_names_and_options_say_what_there_is(name, options, words):
    with pytest.raises(RecipeError) as caught:
        create_loss(name, options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ModelError, match=r"logits of shape \(2, 7\) and targets of shape \(2, 8\)"):
        create_loss("soft_cross_entropy")(torch.zeros(2, 7), torch.zeros(2, 8))
