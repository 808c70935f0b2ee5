"""The losses against their equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.models.losses.cross_entropy import CrossEntropy
from mien.models.losses.soft_cross_entropy import SoftCrossEntropy


def equation(logits, targets, smoothing=0.0):
    z, t = logits.double().numpy(), targets.double().numpy()
    log_softmax = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    t = (1 - smoothing) * t + smoothing / t.shape[1]
    return -(t * log_softmax).sum(axis=1).mean()


@pytest.mark.parametrize(("n", "k"), [(1, 7), (5, 8), (16, 2)])
def test_losses_are_their_equations(n, k):
    torch.manual_seed(n)
    logits, targets = 3 * torch.randn(n, k), torch.rand(n, k).softmax(1)
    assert SoftCrossEntropy()(logits, targets).item() == pytest.approx(equation(logits, targets), rel=1e-5)
    smoothed = CrossEntropy(label_smoothing=0.1)(logits, targets).item()
    assert smoothed == pytest.approx(equation(logits, targets, 0.1), rel=1e-5)
