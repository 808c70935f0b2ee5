"""AdaBoB against its equations in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mien.models.optimizers.adabob import AdaBoB


def trajectory(start, gradients, rates, *, b1, b2, final, speed, tiny, decay, is_released):
    """Return the parameters after each step, and where the rates lay beside their bounds.

    Written from the description of the released rule: belief as the smoothed square of gradient minus mean, with
    epsilon inside; step size lr / sqrt(t); L2 decay. `is_released` false: lr itself, and decay decoupled.
    """
    weights, path, places = start.copy(), [], set()
    first = second = np.zeros_like(start)
    for number, (slope, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        pull = slope + decay * weights if is_released else slope
        step_size = rate * number**-0.5 if is_released else rate
        if not is_released:
            weights = weights - rate * decay * weights
        first = first * b1 + pull * (1 - b1)
        second = second * b2 + np.square(pull - first) * (1 - b2) + tiny
        unbiased = np.sqrt(second / (1 - np.power(b2, number))) + tiny
        free = step_size / ((1 - np.power(b1, number)) * unbiased)
        target = final * rate / rates[0]
        bounds = target - target / (speed * number + 1), target + target / (speed * number)
        places |= set(np.where(free < bounds[0], "below", np.where(free > bounds[1], "above", "between")).flat)
        weights = weights - np.minimum(np.maximum(free, bounds[0]), bounds[1]) * first
        path.append(weights)
    return path, places


COMPOSED = {"use_root_decay": False, "use_decoupled_decay": True}


@pytest.mark.parametrize("is_released", [True, False])
@pytest.mark.parametrize(
    ("final", "speed", "decay", "place"),
    [(0.1, 1e-3, 0.0, "between"), (0.004, 0.5, 0.2, "above"), (0.3, 1.0, 0.0, "below"), (0.03, 0.1, 0.1, "between")],
)
def test_every_step_is_its_equation(final, speed, decay, place, is_released):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(3, 5)), random.normal(size=(30, 3, 5))
    rates = [0.03 * 0.95**t for t in range(30)]
    parameter = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = AdaBoB(
        [parameter],
        lr=rates[0],
        betas=(0.8, 0.97),
        final_lr=final,
        gamma=speed,
        weight_decay=decay,
        **({} if is_released else COMPOSED),
    )
    settings = {"b1": 0.8, "b2": 0.97, "final": final, "speed": speed, "tiny": 1e-8, "decay": decay}
    path, places = trajectory(start, gradients, rates, **settings, is_released=is_released)
    assert place in places  # the clip acts where it is meant to
    for gradient, rate, wanted in zip(gradients, rates, path, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
        assert np.abs(parameter.detach().numpy() - wanted).max() < 1e-12


@pytest.mark.parametrize(
    ("options", "moved"),
    [({}, 3.17e-4), ({**COMPOSED, "betas": (0.9, 0.999), "final_lr": 0.1}, 1.73e-2)],
)
def test_how_far_the_released_and_the_composed_rule_move(options, moved):
    parameter = torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))
    optimizer = AdaBoB([parameter], lr=1e-3, **options)
    for gradient in 0.01 * np.random.default_rng(0).normal(size=(400, 50)):
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()
    assert parameter.detach().abs().mean().item() == pytest.approx(moved, rel=2e-3)


def test_it_converges_to_gradient_descent_with_momentum():
    parameter = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = AdaBoB([parameter], lr=1e-3, betas=(0.9, 0.999), final_lr=0.05, gamma=10)
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
