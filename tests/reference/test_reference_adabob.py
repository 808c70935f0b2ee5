"""AdaBoB against its equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.models.optimizers.adabob import AdaBoB


def trajectory(start, gradients, rates, *, betas, final_lr, gamma, eps, decay, use_decoupled_decay):
    """The parameters after each step, and where steps lay; `rates` is the learning rate of each step."""
    theta, mean, belief, path, places = start.copy(), np.zeros_like(start), np.zeros_like(start), [], set()
    for t, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        pull = gradient if use_decoupled_decay else gradient + decay * theta
        theta = (1 - rate * decay) * theta if use_decoupled_decay else theta
        mean = betas[0] * mean + (1 - betas[0]) * pull
        belief = betas[1] * belief + (1 - betas[1]) * (pull - mean) ** 2 + eps
        step = rate / (1 - betas[0] ** t) / (np.sqrt(belief / (1 - betas[1] ** t)) + eps)
        final = final_lr * rate / rates[0]
        low, high = final * (1 - 1 / (gamma * t + 1)), final * (1 + 1 / (gamma * t))
        places |= set(np.where(step < low, "below", np.where(step > high, "above", "between")).flat)
        theta = theta - np.clip(step, low, high) * mean
        path.append(theta)
    return path, places


@pytest.mark.parametrize("use_decoupled_decay", [True, False])
@pytest.mark.parametrize(
    ("final_lr", "gamma", "decay", "place"),
    [(0.1, 1e-3, 0.0, "between"), (0.01, 0.5, 0.2, "above"), (0.1, 1.0, 0.0, "below"), (0.03, 0.1, 0.1, "between")],
)
def test_every_step_is_its_equation(final_lr, gamma, decay, place, use_decoupled_decay):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(3, 5)), random.normal(size=(30, 3, 5))
    rates = [0.03 * 0.95**t for t in range(30)]
    parameter = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = AdaBoB(
        [parameter],
        lr=rates[0],
        betas=(0.8, 0.97),
        final_lr=final_lr,
        gamma=gamma,
        weight_decay=decay,
        use_decoupled_decay=use_decoupled_decay,
    )
    path, places = trajectory(
        start,
        gradients,
        rates,
        betas=(0.8, 0.97),
        final_lr=final_lr,
        gamma=gamma,
        eps=1e-8,
        decay=decay,
        use_decoupled_decay=use_decoupled_decay,
    )
    assert place in places  # the clip acts where it is meant to
    for gradient, rate, wanted in zip(gradients, rates, path, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        assert np.abs(parameter.detach().numpy() - wanted).max() < 1e-12


def test_it_converges_to_gradient_descent_with_momentum():
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = AdaBoB([parameter], lr=1e-3, final_lr=0.05, gamma=10)
    for t in range(20_000):
        before = parameter.item()
        parameter.grad = torch.tensor([1.0 if t % 2 else -0.5], dtype=torch.float64)
        optimizer.step()
    mean = optimizer.state[parameter]["mean"].item()
    assert before - parameter.item() == pytest.approx(0.05 * mean, rel=1e-4)


def test_a_schedule_scales_the_bounds():
    parameter = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = AdaBoB([parameter], lr=0.1, betas=(0.0, 0.999), final_lr=0.5, gamma=1e9)
    optimizer.param_groups[0]["lr"] = 0.01
    parameter.grad = torch.ones(1, dtype=torch.float64)
    optimizer.step()
    assert parameter.item() == pytest.approx(1 - 0.05)
