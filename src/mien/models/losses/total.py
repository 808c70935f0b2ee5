"""A weighted sum of losses, optionally gated by their gradients (Shao et al. 2025, Eq. 17)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from mien.core.errors import ModelError
from mien.models.losses import Loss, Problem
from mien.models.losses.registry import create_loss
from mien.models.network import Outputs

# Lower limit of a norm in a denominator.
TINY = 1e-30


class Total(Loss):
    r"""Add up named losses, and limit the gradient of each auxiliary loss by that of the first.

    .. math::
        L &= \lambda_0 L_0 + \sum_{j \ge 1} \gamma_j \lambda_j L_j && \text{Eq. (17)} \\
        \gamma_j &= \min(1,\ \rho\, g_0 / g_j), \qquad
            g_0 = \lVert \partial L_0 / \partial a_j \rVert_2, \quad g_j = \lVert \partial L_j / \partial a_j \rVert_2

    where :math:`L_0` is the first term, the classification loss, :math:`\lambda` are the weights, and :math:`a_j` is
    the tensor that term j acts on: the batch's features, or the attention maps if it depends on these alone. The gates
    :math:`\gamma` are constants to the gradient, apply in training only, and are 1 otherwise. So whatever the scale of
    the losses, the gradient norm of an auxiliary term at :math:`a_j` is at most :math:`\rho \lambda_j` times that of
    the first.

    With the terms weighted cross-entropy (weight 1), feature affinity (1) and attention diversity (theta = .3) this is
    the paper's loss.

    Source: Shao, Li and Wu 2025, section 2.5.4; full reference in `mien.models.papers.daf_mhsca`.

    Deviations: the paper describes gradient gating only as "automatically adjusts the effective weights during
    backpropagation by monitoring the relative magnitudes of each loss component's gradients"; the equation is ours.
    With :math:`\rho = 1` a randomly initialized network can stall: its features move to their centres before the
    classification loss has separated the classes. Hence the lower default.

    Args:
        problem: Passed on to every term.
        terms: Weights by loss name, `{"weighted_cross_entropy": 1.0}`, or a table with `weight` (1 if absent) and that
            loss's options, `{"attention_diversity": {"weight": 0.3, "alpha": 0.7}}`. The first is the classification
            loss; a term of weight 0 is left out. None: weighted cross-entropy alone.
        use_gradient_gate: Gate all terms but the first. Requires a network that is not compiled.
        gate_limit: rho, the largest gradient norm of an auxiliary term relative to that of the first; above 0.

    Attributes:
        gates: The gates of the last training batch, by name of the term.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        terms: Mapping[str, object] | None = None,
        use_gradient_gate: bool = True,
        gate_limit: float = 0.1,
    ) -> None:
        super().__init__(problem)
        if not 0 < gate_limit < math.inf:
            raise ValueError(f"gate_limit is {gate_limit:g}; it must be above 0 and finite.")
        self.gate_limit = gate_limit
        self.weights: dict[str, float] = {}
        self.terms = nn.ModuleDict()
        for name, weight, options in _checked_terms({"weighted_cross_entropy": 1.0} if terms is None else terms):
            loss = create_loss(name, problem, options)
            if weight > 0:
                self.weights[name], self.terms[name] = weight, loss
        self.use_gradient_gate = use_gradient_gate and len(self.terms) > 1
        parts = [cast(Loss, term).can_compile for term in self.terms.values()]
        self.can_compile = all(parts) and not self.use_gradient_gate
        self.gates: dict[str, Tensor] = {}

    def forward(self, outputs: Outputs, targets: Tensor) -> Tensor:
        """Return the scalar sum of all terms for a batch.

        Raises:
            ModelError: A term raises it, or gates are requested and the outputs do not depend on each other.
        """
        values = {name: cast(Tensor, term(outputs, targets)) for name, term in self.terms.items()}
        if self.use_gradient_gate and self.training and torch.is_grad_enabled():
            self.gates = _gates(values, outputs, self.gate_limit)
        else:
            self.gates = {}
        weighted = [self.weights[name] * self.gates.get(name, 1.0) * value for name, value in values.items()]
        return torch.stack(weighted).sum()


def _gates(values: Mapping[str, Tensor], outputs: Outputs, limit: float) -> dict[str, Tensor]:
    """Return the gate of every term but the first, without terms that act on neither tensor."""
    found = {"features": outputs.features, "attention": outputs.attention}
    tensors = {kind: tensor for kind, tensor in found.items() if tensor is not None and tensor.requires_grad}
    (_, first), *others = values.items()
    of_first = _gradient_norms(first, tensors)
    gates = {}
    for name, value in others:
        of_term = _gradient_norms(value, tensors)
        if not of_term:
            continue
        kind, norm = next(iter(of_term.items()))
        if kind not in of_first:
            raise ModelError(
                f"The gradient gate of '{name}' needs a first term that depends on the {kind}; for a network without "
                "this dependence, or a compiled one, set use_gradient_gate = false."
            )
        gates[name] = (limit * of_first[kind] / norm.clamp_min(TINY)).clamp_max(1.0)
    return gates


def _gradient_norms(value: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the norm of a scalar's gradient by each tensor that it depends on, in float32."""
    if not tensors or not value.requires_grad:
        return {}
    gradients = torch.autograd.grad(value, list(tensors.values()), retain_graph=True, allow_unused=True)
    return {
        kind: gradient.float().norm() for kind, gradient in zip(tensors, gradients, strict=True) if gradient is not None
    }


def _checked_terms(terms: object) -> Iterator[tuple[str, float, dict[str, object]]]:
    """Yield name, weight and options of each term; `ValueError` if one is invalid."""
    if not isinstance(terms, Mapping) or not terms:
        raise ValueError(f"terms is {terms!r}; expected losses and their weights, {{ cross_entropy = 1.0 }}.")
    for number, (name, value) in enumerate(terms.items()):
        if name == "total":
            raise ValueError("terms contains 'total', the sum itself; name the losses to add.")
        options = dict(value) if isinstance(value, Mapping) else {"weight": value}
        weight = options.pop("weight", 1.0)
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise ValueError(f"the weight of term '{name}' is {weight!r}; it must be a number, at least 0.")
        if number == 0 and weight == 0:
            raise ValueError(f"the weight of term '{name}' is 0; the first term, the classification loss, needs more.")
        yield str(name), float(weight), options
