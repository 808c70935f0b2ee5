"""The losses against their equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.models.losses import Problem
from mien.models.losses.cross_entropy import CrossEntropy
from mien.models.losses.soft_cross_entropy import SoftCrossEntropy
from mien.models.network import Outputs


def equation(logits, targets, smoothing=0.0):
    z, t = logits.double().numpy(), targets.double().numpy()
    log_softmax = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    t = (1 - smoothing) * t + smoothing / t.shape[1]
    return -(t * log_softmax).sum(axis=1).mean()


@pytest.mark.parametrize(("n", "k"), [(1, 7), (5, 8), (16, 2)])
def test_losses_are_their_equations(n, k):
    torch.manual_seed(n)
    logits, targets = 3 * torch.randn(n, k), torch.rand(n, k).softmax(1)
    problem, outputs = Problem((1.0,) * k, 4), Outputs(logits, torch.zeros(n, 4))
    assert SoftCrossEntropy(problem)(outputs, targets).item() == pytest.approx(equation(logits, targets), rel=1e-5)
    smoothed = CrossEntropy(problem, label_smoothing=0.1)(outputs, targets).item()
    assert smoothed == pytest.approx(equation(logits, targets, 0.1), rel=1e-5)
