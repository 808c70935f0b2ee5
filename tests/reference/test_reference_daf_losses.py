"""The losses of DAF-MHSCA against Eq. (14)-(17) in float64 numpy, and their known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy_layers import as_array

from mien.models.losses import Problem
from mien.models.losses.attention_diversity import AttentionDiversity
from mien.models.losses.feature_affinity import FeatureAffinity
from mien.models.losses.total import Total
from mien.models.losses.weighted_cross_entropy import WeightedCrossEntropy, class_weights
from mien.models.network import Outputs

COUNTS = (400.0, 40.0, 100.0, 25.0)
SIZES = [(1, 4, 3), (6, 4, 5), (17, 4, 2)]


def problem(features=3):
    return Problem(COUNTS, features)


def batch(n, k, d, seed=0, dtype=torch.float32):
    """Logits, features and soft targets."""
    generator = torch.Generator().manual_seed(seed)
    logits, features, targets = (torch.randn(n, size, generator=generator, dtype=dtype) for size in (k, d, k))
    return 2 * logits, 3 * features + 1, (2 * targets).softmax(dim=1)


def one_hot(labels, k=4):
    return torch.eye(k)[torch.tensor(labels)]


def weights_of(counts):
    return np.sqrt(max(counts) / (np.array(counts) + 1e-6))


def weighted_cross_entropy(logits, targets):
    z, t = as_array(logits), as_array(targets)
    log_softmax = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    total = 0.0
    for i in range(len(z)):
        for k in range(z.shape[1]):
            total -= weights_of(COUNTS)[k] * t[i, k] * log_softmax[i, k]
    return total / len(z)


def affinity(features, targets, centres):
    f, t = as_array(features), as_array(targets)
    mean = centres.mean(axis=0)
    variance = sum(((m - mean) ** 2).sum() for m in centres) / len(centres)
    total = 0.0
    for i in range(len(f)):
        for k in range(len(centres)):
            total += weights_of(COUNTS)[k] * t[i, k] * ((f[i] - centres[k]) ** 2).sum() / (variance + 1e-6)
    return total / len(f)


def diversity(attention, alpha=0.7, beta=0.3):
    a = as_array(attention)
    batch_size, n, height, width = a.shape
    variance = sum(a[b, :, h, w].var() for b in range(batch_size) for h in range(height) for w in range(width)) / (
        batch_size * height * width
    )
    cosines = 0.0
    for maps in a.reshape(batch_size, n, -1):
        for i in range(n):
            for j in range(n):
                if i != j:
                    cosines += maps[i] @ maps[j] / (np.linalg.norm(maps[i]) * np.linalg.norm(maps[j])) / batch_size
    return -alpha * variance + (2 * beta / (n * (n - 1)) * cosines if n > 1 else 0.0)


def test_class_weights_are_the_square_roots():
    given = class_weights(COUNTS)
    np.testing.assert_allclose(given.numpy(), [1, np.sqrt(10), 2, 4], rtol=1e-6)
    assert class_weights((8.0, 0.0, 2.0)).tolist() == pytest.approx([1, 0, 2])


@pytest.mark.parametrize("size", SIZES)
def test_weighted_cross_entropy_is_its_equation(size):
    n, k, d = size
    logits, features, targets = batch(n, k, d)
    given = WeightedCrossEntropy(problem(d))(Outputs(logits, features), targets)
    assert given.item() == pytest.approx(weighted_cross_entropy(logits, targets), rel=1e-5)


@pytest.mark.parametrize("size", [(6, 4, 5), (17, 4, 2)])
def test_feature_affinity_is_its_equation_over_two_batches(size):
    n, k, d = size
    loss = FeatureAffinity(problem(d), momentum=0.25)
    centres = np.zeros((k, d))
    for step in range(2):
        logits, features, targets = batch(n, k, d, seed=step)
        f, t = as_array(features), as_array(targets)
        means = (t.T @ f) / t.sum(axis=0)[:, None]
        centres = means if step == 0 else 0.75 * centres + 0.25 * means
        given = loss(Outputs(logits, features), targets)
        assert given.item() == pytest.approx(affinity(features, targets, centres), rel=1e-5)
    loss.eval()
    logits, features, targets = batch(3, k, d, seed=9)
    given = loss(Outputs(logits, features), targets)
    assert given.item() == pytest.approx(affinity(features, targets, centres), rel=1e-5)
    np.testing.assert_allclose(loss.class_centres.centres.numpy(), centres, rtol=1e-5)


def test_feature_affinity_has_known_values():
    loss = FeatureAffinity(problem(2), momentum=1.0)
    # Centres (0, 0) and (4, 0): variance 4. Each sample lies 1 from its centre; weights 1 and sqrt(10).
    features = torch.tensor([[0.0, 1.0], [0.0, -1.0], [5.0, 0.0], [3.0, 0.0]])
    targets = one_hot([0, 0, 1, 1])
    given = loss(Outputs(torch.zeros(4, 4), features), targets)
    assert loss.centre_variance().item() == pytest.approx(4)
    assert given.item() == pytest.approx((1 + 1 + 2 * np.sqrt(10)) / 4 / 4, rel=1e-5)
    scaled = FeatureAffinity(problem(2), momentum=1.0)(Outputs(torch.zeros(4, 4), 100 * features), targets)
    assert scaled.item() == pytest.approx(given.item(), rel=1e-5)
    at_centres = Outputs(torch.zeros(2, 4), torch.tensor([[0.0, 0.0], [4.0, 0.0]]))
    assert loss.eval()(at_centres, one_hot([0, 1])).item() == 0


def test_one_class_alone_has_no_variance_and_no_loss():
    loss = FeatureAffinity(problem(2))
    features = torch.randn(3, 2, requires_grad=True)
    value = loss(Outputs(torch.zeros(3, 4), features), one_hot([1, 1, 1]))
    value.backward()
    assert value.item() == 0
    assert torch.equal(features.grad, torch.zeros(3, 2))


@pytest.mark.parametrize("shape", [(1, 4, 7, 7), (3, 2, 5, 8), (2, 5, 1, 3), (2, 1, 4, 4)])
@pytest.mark.parametrize("options", [{}, {"alpha": 2.0, "beta": 0.05}])
def test_attention_diversity_is_its_equation(shape, options):
    torch.manual_seed(0)
    attention = torch.rand(shape)
    outputs = Outputs(torch.zeros(shape[0], 4), torch.zeros(shape[0], 3), attention)
    given = AttentionDiversity(problem(), **options)(outputs, torch.zeros(shape[0], 4))
    assert given.item() == pytest.approx(diversity(attention, **options), rel=1e-5)


@pytest.mark.parametrize(("use_gradient_gate", "limit"), [(True, 1.0), (True, 0.1), (False, 1.0)])
def test_the_total_is_the_gated_sum(use_gradient_gate, limit):
    torch.manual_seed(0)
    n, d, heads = 5, 3, 2
    attention = torch.rand(n, heads, 2, 2, requires_grad=True)
    weight = torch.randn(heads * 4, d)
    features = attention.flatten(1) @ weight
    matrix = torch.randn(d, 4)
    outputs, targets = Outputs(features @ matrix, features, attention), batch(n, 4, d)[2]
    terms = {
        "weighted_cross_entropy": 0.5,
        "feature_affinity": 2.0,
        "attention_diversity": {"weight": 0.3, "alpha": 0.9},
    }
    loss = Total(problem(d), terms=terms, use_gradient_gate=use_gradient_gate, gate_limit=limit)
    given = loss(outputs, targets)

    # dL0/dlogits of the mean of -w t log p, and the chain to features and maps, by hand
    z, t, w = as_array(outputs.logits), as_array(targets), weights_of(COUNTS)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    by_logits = ((w * t).sum(axis=1, keepdims=True) * p - w * t) / n
    by_features = by_logits @ as_array(matrix).T
    by_attention = by_features @ as_array(weight).T
    centres = as_array(loss.terms["feature_affinity"].class_centres.centres)
    f = as_array(features)
    variance = ((centres - centres.mean(axis=0)) ** 2).sum(axis=1).mean()
    pulls = 2 * (w * t)[:, :, None] * (f[:, None] - centres) / (variance + 1e-6) / n
    (mhv,) = torch.autograd.grad(
        AttentionDiversity(problem(d), alpha=0.9)(outputs, targets), attention, retain_graph=True
    )
    gates = {
        "feature_affinity": min(1, limit * np.linalg.norm(by_features) / np.linalg.norm(pulls.sum(axis=1))),
        "attention_diversity": min(1, limit * np.linalg.norm(by_attention) / np.linalg.norm(as_array(mhv))),
    }
    if not use_gradient_gate:
        assert loss.gates == {}
        gates = dict.fromkeys(gates, 1.0)
    else:
        assert {name: gate.item() for name, gate in loss.gates.items()} == pytest.approx(gates, rel=1e-5)
        assert min(gates.values()) < 1
    wanted = 0.5 * weighted_cross_entropy(outputs.logits, targets)
    wanted += 2 * gates["feature_affinity"] * affinity(features, targets, centres)
    wanted += 0.3 * gates["attention_diversity"] * diversity(attention, alpha=0.9)
    assert given.item() == pytest.approx(wanted, rel=1e-5)


def test_gradients_are_right():
    logits, features, targets = batch(3, 4, 2, dtype=torch.double)
    attention = torch.rand(3, 3, 2, 2, dtype=torch.double)
    losses = [loss(problem(2)) for loss in (WeightedCrossEntropy, FeatureAffinity, AttentionDiversity)]
    losses[1](Outputs(logits.float(), features.float(), attention), targets.float())
    inputs = [tensor.requires_grad_() for tensor in (logits, features, attention)]
    for loss in losses:
        loss.double().eval()  # the centres stay while differences are taken
        assert torch.autograd.gradcheck(lambda *given, loss=loss: loss(Outputs(*given), targets), inputs)
