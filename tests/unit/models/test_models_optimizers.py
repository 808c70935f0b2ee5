from __future__ import annotations

import copy
import io
import sys

import pytest
import torch
from torch import nn

from mien.core.errors import RecipeError
from mien.models.optimizers.registry import create_optimizer, decay_groups, names


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
        ("adm", 0.1, {}, "Did you mean 'adam'? Known: adabob, adam, adamax, adamw, adan, lion, sgd."),
        ("sgd", 0.1, {"momentun": 0.9}, "Did you mean 'momentum'?"),
        ("sgd", 0.1, {"lr": 0.9}, "No option 'lr' of optimizer 'sgd'"),
        ("sgd", 0.1, {"momentum": "high"}, "expected float"),
        ("sgd", -1.0, {}, "The learning rate is -1.0"),
        ("lion", -1.0, {}, "The learning rate is -1.0"),
        ("adan", 0.1, {"betas": [0.9, 0.99]}, "Optimizer 'adan' has 3 betas, not 2: (0.98, 0.92, 0.99)."),
        ("adamw", 0.1, {"betas": [0.9, 0.99, 0.9]}, "Optimizer 'adamw' has 2 betas, not 3"),
        ("adabob", 0.1, {"betas": [0.9, 1.0]}, "betas are (0.9, 1.0); both must be in [0, 1)."),
        ("adabob", 0.1, {"gamma": 0.0}, "final_lr and gamma are 0.0001 and 0.0; both must be above 0."),
        ("adabob", 0.1, {"eps": -1.0}, "lr, eps and weight_decay are 0.1, -1.0 and 0; each must be at least 0."),
    ],
)
def test_bad_names_and_options_list_the_valid_ones(name, lr, options, words, module):
    with pytest.raises(RecipeError) as caught:
        create_optimizer(name, module.parameters(), lr=lr, weight_decay=0, options=options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


# What is left of a weight after a step at rate 0.1 with decay 0.5 whose gradient is 0.
DECOUPLED, PROXIMAL = 1 - 0.05, 1 / 1.05


@pytest.mark.parametrize(
    ("name", "options", "left"),
    [
        ("adabob", {"use_decoupled_decay": True}, DECOUPLED),
        ("adamw", {}, DECOUPLED),
        ("lion", {}, DECOUPLED),
        ("adan", {}, PROXIMAL),
        ("adan", {"weight_decouple": True}, DECOUPLED),
        ("sgd", {}, DECOUPLED),  # the same for one step without momentum
    ],
)
def test_decoupled_decay_shrinks_every_weight_by_its_share(name, options, left):
    weights = torch.nn.Parameter(torch.tensor([3.0, -0.01], dtype=torch.float64))
    optimizer = create_optimizer(name, [weights], lr=0.1, weight_decay=0.5, options=options)
    weights.grad = torch.zeros_like(weights)
    optimizer.step()
    torch.testing.assert_close(weights.detach(), torch.tensor([3.0, -0.01], dtype=torch.float64) * left)


@pytest.mark.parametrize(
    ("name", "options"),
    [("adam", {}), ("adamax", {}), ("adabob", {}), ("lion", {"weight_decouple": False})],
)
def test_decay_in_the_gradient_is_a_gradient_like_any_other(name, options):
    start = torch.tensor([3.0, -0.01], dtype=torch.float64)
    with_decay, by_hand = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    ours = create_optimizer(name, [with_decay], lr=0.1, weight_decay=0.5, options=options)
    plain = create_optimizer(name, [by_hand], lr=0.1, weight_decay=0, options=options)
    for _ in range(3):
        with_decay.grad = torch.ones_like(start)
        by_hand.grad = 1 + 0.5 * by_hand.detach()
        ours.step()
        plain.step()
    torch.testing.assert_close(with_decay, by_hand)


@pytest.mark.parametrize("name", names())
def test_a_run_continues_from_its_state(name, module):
    torch.manual_seed(0)
    images = torch.randn(8, 1, 3, 3)
    optimizer = create_optimizer(name, decay_groups(module), lr=0.01, weight_decay=1e-2)
    _train(module, optimizer, images)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    resumed = copy.deepcopy(module)
    continued = create_optimizer(name, decay_groups(resumed), lr=0.5, weight_decay=0)
    continued.load_state_dict(torch.load(buffer, weights_only=True))
    _train(module, optimizer, images)
    _train(resumed, continued, images)
    for wanted, given in zip(module.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(wanted, given)


def _train(module, optimizer, images):
    for _ in range(3):
        optimizer.zero_grad()
        module(images).square().mean().backward()
        optimizer.step()


def test_a_missing_package_is_an_error(monkeypatch, module):
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(RecipeError, match="Optimizer 'lion' needs the package pytorch-optimizer"):
        create_optimizer("lion", module.parameters(), lr=0.1, weight_decay=0)
    assert create_optimizer("adabob", module.parameters(), lr=0.1, weight_decay=0).defaults["final_lr"] == 1e-4
