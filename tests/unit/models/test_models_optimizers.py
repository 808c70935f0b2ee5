from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.core.errors import RecipeError
from mien.models.optimizers import create_optimizer, decay_groups, names


@pytest.fixture
def module():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize("name", names())
def test_every_optimizer_lowers_a_loss(name, module):
    torch.manual_seed(0)
    optimizer = create_optimizer(name, decay_groups(module), lr=0.01, weight_decay=1e-4)
    images, losses = torch.randn(8, 1, 3, 3), []
    for _ in range(20):
        loss = module(images).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_only_weights_decay(module):
    frozen = module[3].weight.requires_grad_(requires_grad=False)
    optimizer = create_optimizer("sgd", decay_groups(module), lr=0.1, weight_decay=0.5)
    decayed, free = optimizer.param_groups
    assert decayed["weight_decay"] == 0.5
    assert free["weight_decay"] == 0
    assert [p.ndim for p in decayed["params"]] == [4]
    assert len(free["params"]) == 4
    assert all(p is not frozen for group in (decayed, free) for p in group["params"])


def test_options_reach_the_optimizer_and_lists_become_tuples(module):
    sgd = create_optimizer(
        "sgd", module.parameters(), lr=0.1, weight_decay=0, options={"momentum": 0.9, "nesterov": True}
    )
    adam = create_optimizer("adamw", module.parameters(), lr=0.1, weight_decay=0, options={"betas": [0.8, 0.9]})
    assert sgd.defaults["momentum"] == 0.9
    assert sgd.defaults["nesterov"] is True
    assert adam.defaults["betas"] == (0.8, 0.9)


@pytest.mark.parametrize(
    ("name", "lr", "options", "words"),
    [
        ("adm", 0.1, {}, "Did you mean 'adam'? Known: adam, adamax, adamw, sgd."),
        ("sgd", 0.1, {"momentun": 0.9}, "Did you mean 'momentum'?"),
        ("sgd", 0.1, {"lr": 0.9}, "No option 'lr' of optimizer 'sgd'"),
        ("sgd", 0.1, {"momentum": "high"}, "expected float"),
        ("sgd", -1.0, {}, "Invalid learning rate: -1.0"),
    ],
)
def test_bad_names_and_options_say_what_there_is(name, lr, options, words, module):
    with pytest.raises(RecipeError) as caught:
        create_optimizer(name, module.parameters(), lr=lr, weight_decay=0, options=options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
