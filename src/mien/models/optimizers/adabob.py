"""AdaBoB: learning rates by the belief in each gradient, clipped to dynamic bounds (Xiang et al. 2025)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor
from torch.optim import Optimizer


class AdaBoB(Optimizer):
    r"""AdaBelief's second moment inside AdaBound's bounds.

    .. math::
        g_t &= \nabla_t + \lambda\, \theta_{t-1}, \qquad \alpha'_t = \alpha_t / \sqrt t \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1)\, g_t \\
        s_t &= \beta_2 s_{t-1} + (1 - \beta_2)\, (g_t - m_t)^2 + \epsilon \\
        \hat\eta_t &= \frac{\alpha'_t}{1 - \beta_1^t} \Big/ \Big(\sqrt{s_t / (1 - \beta_2^t)} + \epsilon\Big) \\
        \eta_t &= \mathrm{clip}\Big(\hat\eta_t,\;
            \alpha^*_t \Big(1 - \frac{1}{\gamma t + 1}\Big),\; \alpha^*_t \Big(1 + \frac{1}{\gamma t}\Big)\Big) \\
        \theta_t &= \theta_{t-1} - \eta_t \odot m_t

    where :math:`\nabla_t` is the gradient, :math:`\alpha_t` the learning rate, :math:`\lambda` the weight decay and
    :math:`\alpha^*_t` = `final_lr` :math:`\times\, \alpha_t / \alpha_0` follows the schedule of the learning rate.
    The bounds start at 0 and infinity and converge to :math:`\alpha^*`, so the method ends as gradient descent with
    momentum. The time scale is 1 / gamma steps: 1,000 by default.

    Source: Xiang, Wang, Lei and Song, "Dynamic Bound Adaptive Gradient Methods with Belief in Observed Gradients",
    Pattern Recognition 2025, doi 10.1016/j.patcog.2025.111819, as SPAYOLO's released training has it: the defaults are
    its values, beta1 being the momentum that its script gives to every optimizer.

    Deviations: how the released optimizer corrects the bias of its moments is not known to us; both are corrected here,
    as in AdaBelief (Zhuang et al. 2020, Algorithm 2). AdaBound (Luo et al. 2019) needs the division by :math:`\sqrt t`
    for its proof and leaves it out in its experiments (section 5). AdaBound's own settings, with decoupled decay, are
    `betas` (0.9, 0.999), `final_lr` 0.1, `use_root_decay` false and `use_decoupled_decay` true; then
    :math:`\theta_{t-1}` is first multiplied by :math:`1 - \alpha_t \lambda`, and :math:`g_t = \nabla_t`.

    Args:
        params: Tensors or groups.
        lr: Learning rate alpha, at least 0.
        betas: Decay rates of m and s, in [0, 1).
        final_lr: The rate alpha* that the bounds converge to, above 0.
        gamma: Speed of the convergence, above 0.
        eps: Epsilon, at least 0.
        weight_decay: Lambda, at least 0.
        use_root_decay: Divide the learning rate by the root of the step's number, before the clip.
        use_decoupled_decay: Shrink the parameters; otherwise add lambda times theta to the gradient.

    Raises:
        ValueError: A value is out of its range.
    """

    def __init__(  # noqa: PLR0913 - each is an option that recipes set by name
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.937, 0.999),
        final_lr: float = 1e-4,
        gamma: float = 1e-3,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        use_root_decay: bool = True,
        use_decoupled_decay: bool = False,
    ) -> None:
        if min(lr, eps, weight_decay) < 0:
            raise ValueError(f"lr, eps and weight_decay are {lr}, {eps} and {weight_decay}; each must be at least 0.")
        if min(final_lr, gamma) <= 0:
            raise ValueError(f"final_lr and gamma are {final_lr} and {gamma}; both must be above 0.")
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {betas}; both must be in [0, 1).")
        defaults = {
            "lr": lr,
            "betas": betas,
            "final_lr": final_lr,
            "gamma": gamma,
            "eps": eps,
            "weight_decay": weight_decay,
            "use_root_decay": use_root_decay,
            "use_decoupled_decay": use_decoupled_decay,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; its present learning rate is the one that a schedule starts from."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        group.setdefault("base_lr", group["lr"])

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step; return the loss that `closure` returns, after it has computed loss and gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["mean"] = torch.zeros_like(parameter)
            state["belief"] = torch.zeros_like(parameter)
        state["step"] += 1
        lr, eps, decay, step = group["lr"], group["eps"], group["weight_decay"], state["step"]
        if group["use_decoupled_decay"]:
            parameter.mul_(1 - lr * decay)
        elif decay:
            gradient = gradient.add(parameter, alpha=decay)
        beta1, beta2 = group["betas"]
        mean, belief = state["mean"], state["belief"]
        mean.lerp_(gradient, 1 - beta1)
        surprise = gradient - mean
        belief.mul_(beta2).addcmul_(surprise, surprise, value=1 - beta2).add_(eps)
        deviation = (belief / (1 - beta2**step)).sqrt_().add_(eps)
        size = lr / math.sqrt(step) if group["use_root_decay"] else lr
        rate = (size / (1 - beta1**step) / deviation).clamp_(*_bounds(group, step))
        parameter.addcmul_(rate, mean, value=-1)


def _bounds(group: dict[str, Any], step: int) -> tuple[float, float]:
    """Return the lowest and highest rate of a step, counted from 1."""
    scale = group["lr"] / group["base_lr"] if group["base_lr"] else 1.0  # a base rate of 0 gives no ratio
    final_lr, elapsed = group["final_lr"] * scale, group["gamma"] * step
    return final_lr * (1 - 1 / (elapsed + 1)), final_lr * (1 + 1 / elapsed)
