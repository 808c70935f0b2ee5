from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.core.errors import ModelError, RecipeError
from mien.models import registry
from mien.models.losses import Problem
from mien.models.losses.registry import create_loss
from mien.models.network import Outputs

PROBLEM = Problem((40.0, 4.0, 41.0, 72.0, 48.0, 32.0, 50.0), 128)
PAPER = {"weighted_cross_entropy": 1.0, "feature_affinity": 1.0, "attention_diversity": {"weight": 0.3}}
TARGETS = torch.eye(7)[[0, 1, 2, 3, 4, 5, 6, 0]]


def total(terms, **options):
    return create_loss("total", PROBLEM, {"terms": terms, **options})


@pytest.fixture
def outputs() -> Outputs:
    torch.manual_seed(0)
    network = registry.create("daf_mhsca", options={"width": 16, "stem": "small"})
    return network.outputs(torch.randn(8, 1, 32, 32))


@pytest.mark.parametrize("limit", [0.1, 1.0])
def test_the_gradient_of_an_auxiliary_term_is_limited_by_that_of_the_first(outputs, limit):
    gated, free = total(PAPER, gate_limit=limit), total(PAPER, use_gradient_gate=False)
    value = gated(outputs, TARGETS)
    assert set(gated.gates) == {"feature_affinity", "attention_diversity"}
    assert all(0 < gate <= 1 for gate in gated.gates.values())
    assert not value.isclose(free(outputs, TARGETS))
    first, affinity = (gated.terms[name](outputs, TARGETS) for name in ("weighted_cross_entropy", "feature_affinity"))
    lengths = [torch.autograd.grad(v, outputs.features, retain_graph=True)[0].norm() for v in (first, affinity)]
    assert lengths[1] * gated.gates["feature_affinity"] <= limit * lengths[0] * (1 + 1e-5)
    value.backward()


def test_a_weak_term_is_not_gated(outputs):
    loss = total({"cross_entropy": 1.0, "attention_diversity": {"alpha": 1e-6, "beta": 0.0}})
    loss(outputs, TARGETS)
    assert loss.gates["attention_diversity"] == 1


def test_gates_act_in_training_with_gradients_only(outputs):
    loss = total(PAPER)
    loss(outputs, TARGETS)
    with torch.no_grad():
        ungated = loss(outputs, TARGETS)
    assert loss.gates == {}
    torch.testing.assert_close(loss.eval()(outputs, TARGETS), ungated)
    assert loss.gates == {}
    frozen = Outputs(*(tensor.detach() for tensor in outputs))
    assert loss.train()(frozen, TARGETS).isfinite()


def test_the_gate_rules_out_compilation_and_only_the_gate():
    assert not total(PAPER).can_compile
    assert total(PAPER, use_gradient_gate=False).can_compile
    assert total({"cross_entropy": 1.0}).can_compile
    assert create_loss("cross_entropy", PROBLEM).can_compile


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_network_needs_the_gate_off():
    head, classifier = nn.Linear(8, 128), nn.Linear(128, 7)

    def network(images):
        features = head(images)
        return Outputs(classifier(features), features, features.view(8, 2, 8, 8).sigmoid())

    outputs = torch.compile(network, backend="aot_eager")(torch.randn(8, 8))
    with pytest.raises(ModelError, match="or a compiled one, set use_gradient_gate = false"):
        total(PAPER)(outputs, TARGETS)
    total(PAPER, use_gradient_gate=False)(outputs, TARGETS).backward()


def test_a_network_without_heads_is_an_error_that_names_one_with_heads():
    network = registry.create("resnet18", options={"width": 16, "stem": "small"})
    outputs = network.outputs(torch.randn(8, 1, 32, 32))
    with pytest.raises(ModelError, match=r"'attention_diversity' needs the maps .* 'daf_mhsca'"):
        total(PAPER)(outputs, TARGETS)
    without = {**PAPER, "attention_diversity": {"weight": 0}}
    assert set(total(without).terms) == {"weighted_cross_entropy", "feature_affinity"}
    assert total(without)(outputs, TARGETS).isfinite()


def test_the_state_of_terms_is_saved():
    loss, other = total(PAPER), total(PAPER)
    loss.terms["feature_affinity"].class_centres.update(torch.randn(8, 128), TARGETS)
    other.load_state_dict(loss.state_dict())
    assert set(loss.state_dict()) == {f"terms.feature_affinity.class_centres.{key}" for key in ("centres", "seen")}
    assert torch.equal(
        other.terms["feature_affinity"].class_centres.centres, loss.terms["feature_affinity"].class_centres.centres
    )


@pytest.mark.parametrize("limit", [0, -1.0, float("inf"), float("nan")])
def test_an_invalid_limit_is_refused(limit):
    with pytest.raises(RecipeError, match="it must be above 0 and finite"):
        total(PAPER, gate_limit=limit)


def test_another_number_of_features_is_named():
    outputs = Outputs(torch.zeros(8, 7), torch.zeros(8, 12))
    with pytest.raises(ModelError, match="got 12 features per image; it was made for 128"):
        create_loss("feature_affinity", PROBLEM)(outputs, TARGETS)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({}, "expected losses and their weights"),
        ("cross_entropy", "terms is 'cross_entropy'; expected losses and their weights"),
        ({"cross_entropi": 1.0}, "No loss named 'cross_entropi'. Did you mean 'cross_entropy'? Known: "),
        ({"cross_entropy": 1.0, "affinity": 0}, "No loss named 'affinity'."),
        ({"cross_entropy": "much"}, "the weight of term 'cross_entropy' is 'much'; it must be a number, at least 0."),
        ({"cross_entropy": True}, "is True; it must be a number"),
        ({"cross_entropy": -1}, "is -1; it must be a number, at least 0"),
        ({"cross_entropy": float("nan")}, "is nan; it must be a number"),
        ({"cross_entropy": {"weight": [1]}}, "it must be a number"),
        ({"cross_entropy": 0}, "the first term, the classification loss, needs more"),
        ({"cross_entropy": {"smoothing": 0.1}}, "No option 'smoothing' of loss 'cross_entropy'."),
        ({"cross_entropy": 1.0, "attention_diversity": {"beta": -1}}, "both must be at least 0"),
        ({"cross_entropy": 1.0, "feature_affinity": {"momentum": 2.0}}, "momentum is 2.0"),
        ({"cross_entropy": 1.0, "total": 1.0}, "terms contains 'total'"),
    ],
)
def test_bad_terms_are_named_in_one_line(terms, words):
    with pytest.raises(RecipeError) as caught:
        total(terms)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
