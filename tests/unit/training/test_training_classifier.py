"""Fitting the classifier before training: the minimum that its docstring defines, and nothing else is touched."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny_recipe import tiny_recipe
from torch import nn

from mien.core.card import InputSpec
from mien.core.errors import RecipeError
from mien.training.classifier import PENALTY, fit_classifier
from mien.training.faces import Faces
from mien.training.run import create_network

SPEC = InputSpec(16, 1, 0.5, 0.25)


def bright_and_dark(each: tuple[int, int] = (20, 20)) -> Faces:
    """Noise around two brightnesses."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([0] * each[0] + [1] * each[1])
    noise = torch.randint(0, 90, (len(labels), 1, 16, 16), generator=generator)
    return Faces((noise + labels[:, None, None, None] * 100).to(torch.uint8), torch.eye(2)[labels])


def probabilities(network, faces):
    with torch.no_grad():
        return network.eval()((faces.images.float() / 255 - 0.5) / 0.25).softmax(1)


def test_it_is_the_minimum_of_its_definition():
    recipe, faces = tiny_recipe(fit_classifier=True, augmentation={"flip": 0}), bright_and_dark()
    network = create_network(recipe, 2)
    start = network.fc.weight.detach().double().clone()
    fit_classifier(network, faces, SPEC, recipe)
    with torch.no_grad():
        features = network.eval().features((faces.images.float() / 255 - 0.5) / 0.25).double()
    weight, bias = network.fc.weight.detach().double().requires_grad_(), network.fc.bias.detach().double()
    penalty = PENALTY * features.square().sum(1).mean() * (weight - start).square().sum()
    loss = F.cross_entropy(features @ weight.T + bias, faces.targets.double(), reduction="sum") + penalty
    (gradient,) = torch.autograd.grad(loss, weight)
    assert gradient.abs().max() < 1e-3 * len(faces)


def test_only_the_classifier_changes_and_no_random_number():
    recipe, faces = tiny_recipe(fit_classifier=True, data={"not_a_face_share": 0.1}), bright_and_dark()
    faces = Faces(faces.images, F.pad(faces.targets, (0, 1)))
    network = create_network(recipe, 2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit_classifier(network, faces, SPEC, recipe)
    assert torch.equal(torch.rand(3), expected)
    changed = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert changed == ["fc.weight", "fc.bias"]
    assert network.training
    assert probabilities(network, faces)[:, 2].mean() < 0.3  # faces are faces


def test_few_faces_change_less_than_many():
    moved = []
    for each in (2, 200):
        network = create_network(recipe := tiny_recipe(fit_classifier=True), 2)
        nn.init.zeros_(network.fc.weight)
        fit_classifier(network, bright_and_dark((each, each)), SPEC, recipe)
        moved.append(float(network.fc.weight.detach().norm()))
    assert moved[0] < 0.7 * moved[1]


def test_class_balance_helps_the_rare_label():
    faces, found = bright_and_dark((60, 3)), []
    for balance in (0.0, 1.0):
        recipe = tiny_recipe(fit_classifier=True, data={"class_balance": balance})
        torch.manual_seed(0)
        network = create_network(recipe, 2)
        fit_classifier(network, faces, SPEC, recipe)
        found.append(float(probabilities(network, faces)[:, 1].mean()))
    assert found[1] > found[0]


def test_a_classifier_of_several_layers_is_one_line():
    recipe = tiny_recipe(fit_classifier=True)
    network = create_network(recipe, 2)
    network.fc = nn.Sequential(nn.Linear(32, 8), nn.Linear(8, 2))
    with pytest.raises(RecipeError, match="is not one linear layer; set fit_classifier to false"):
        fit_classifier(network, bright_and_dark(), SPEC, recipe)
