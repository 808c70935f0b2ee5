"""SLDCNN's intra-class distance penalty against its equations in float64 numpy.

Training batches run in float32, as the running centres do; what needs no update runs in float64.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mien.models.losses import Problem
from mien.models.losses.intra_class_distance import IntraClassDistance
from mien.models.network import Outputs


def made(classes: int, size: int, momentum: float = 0.1) -> IntraClassDistance:
    return IntraClassDistance(Problem((1.0,) * classes, size), momentum=momentum)


def penalty(loss, features, targets):
    return loss(Outputs(torch.zeros_like(targets), features), targets)


def equation(features, targets, centres):
    """Eq. (27) and (28) as a mean over the samples, all classes with a centre."""
    k = len(centres)
    d = [min(np.linalg.norm(centres[c] - centres[o]) for o in range(k) if o != c) / 2 for c in range(k)]
    total = 0.0
    for f, t in zip(features, targets, strict=True):
        for c in range(k):
            total += t[c] * max(np.sum((f - centres[c]) ** 2) - d[c] ** 2, 0) / 2
    return total / len(features)


@pytest.mark.parametrize(("n", "classes", "size"), [(32, 4, 6), (9, 3, 1), (64, 7, 20)])
@pytest.mark.parametrize("momentum", [0.1, 1.0])
@pytest.mark.parametrize("soft", [False, True])
def test_penalty_follows_its_equations_batch_after_batch(n, classes, size, momentum, soft):
    torch.manual_seed(n)
    loss = made(classes, size, momentum).train()
    centres = None
    for _ in range(3):
        features = torch.randn(n, size)
        labels = torch.arange(n) % classes
        targets = torch.rand(n, classes).softmax(1) if soft else F.one_hot(labels, classes).float()
        t, f = targets.double().numpy(), features.double().numpy()
        means = (t.T @ f) / t.sum(axis=0)[:, None]
        centres = means if centres is None else (1 - momentum) * centres + momentum * means
        given = penalty(loss, features, targets).item()
        assert given == pytest.approx(equation(f, t, centres), rel=1e-5)
    before = loss.centres.centres.clone()
    given = penalty(loss.eval(), features, targets).item()
    assert given == pytest.approx(equation(f, t, centres), rel=1e-5)
    assert torch.equal(before, loss.centres.centres)


def with_centres(rows, seen=None):
    loss = made(len(rows), len(rows[0])).double().eval()
    loss.centres.centres.copy_(torch.tensor(rows))
    loss.centres.seen.copy_(torch.tensor(seen or [True] * len(rows)))
    return loss


def test_radii_of_given_centres():
    corners = [[0.0, 0.0], [3.0, 4.0], [0.0, 8.0]]
    assert with_centres(corners).radii().tolist() == [2.5, 2.5, 2.5]
    assert with_centres([[0.0], [2.0], [10.0]]).radii().tolist() == [1.0, 1.0, 4.0]
    # the second is not there yet
    assert with_centres(corners, [True, False, True]).radii().tolist() == [4.0, float("inf"), 4.0]


def test_gradient_is_the_offset_outside_and_nothing_inside():
    loss = with_centres([[0.0, 0.0], [4.0, 0.0]])
    features = torch.tensor([[0.0, 3.0], [1.0, 1.0], [4.0, -1.0], [-2.0, 2.0]], dtype=torch.double, requires_grad=True)
    targets = F.one_hot(torch.tensor([0, 0, 1, 1]), 2).double()
    value = penalty(loss, features, targets)
    # d = 2: distances 3 and 1.41 from the first centre, 1 and 6.32 from the second
    assert value.item() == pytest.approx((9 - 4 + 40 - 4) / 2 / 4)
    (4 * value).backward()
    assert features.grad.tolist() == [[0.0, 3.0], [0.0, 0.0], [0.0, 0.0], [-6.0, 2.0]]


def test_centres_take_no_gradient_from_the_batch_that_moves_them():
    loss = made(2, 1, momentum=1.0).train()
    features = torch.tensor([[-9.0], [1.0], [2.0], [4.0]], requires_grad=True)
    penalty(loss, features, F.one_hot(torch.tensor([0, 0, 1, 1]), 2).float()).backward()
    # centres -4 and 3, d = 3.5: the first class lies 5 from its centre, the second 1
    assert loss.centres.centres.flatten().tolist() == [-4.0, 3.0]
    assert (4 * features.grad).flatten().tolist() == [-5.0, 5.0, 0.0, 0.0]


@pytest.mark.parametrize("labels", [[1, 1, 1], [1]])
def test_fewer_than_two_classes_give_no_penalty(labels):
    loss = made(3, 2).train()
    features = torch.randn(len(labels), 2, requires_grad=True)
    targets = F.one_hot(torch.tensor(labels), 3).float()
    value = penalty(loss, features, targets)
    value.backward()
    assert value.item() == 0
    assert not features.grad.any()
    assert penalty(made(3, 2).eval(), features, targets).item() == 0
