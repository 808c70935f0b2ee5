"""Constants of networks: made once for a type and a device, and fit for training whenever they were made."""

import numpy as np
import torch

from mien.models.layers.tracing import constant, constant_of

CALLS = []


def ramp(length, slope):
    CALLS.append((length, slope))
    return np.arange(length) * slope


def test_constants_are_computed_once_per_arguments_and_type():
    CALLS.clear()
    like = torch.zeros(1)
    first = constant_of(ramp, 4, 0.5, like=like)
    assert torch.equal(first, torch.tensor([0.0, 0.5, 1.0, 1.5]))
    assert torch.equal(first, constant(ramp(4, 0.5), like))
    assert constant_of(ramp, 4, 0.5, like=torch.ones(3, dtype=torch.bfloat16)) is first
    assert CALLS == [(4, 0.5), (4, 0.5)]
    assert constant_of(ramp, 4, 0.25, like=like) is not first
    assert constant_of(ramp, 4, 0.5, like=like.double()).dtype == torch.float64
    assert constant_of(ramp, 4, 0.5, like=like.to("meta")).device.type == "meta"


def test_a_constant_made_in_validation_works_in_training():
    with torch.inference_mode():
        made = constant_of(ramp, 5, 2.0, like=torch.zeros(1))
    weight = torch.ones(5, requires_grad=True)
    (weight * constant_of(ramp, 5, 2.0, like=weight)).sum().backward()
    assert torch.equal(weight.grad, made)
