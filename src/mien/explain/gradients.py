"""Gradient methods: three class activation maps of a stage, and integrated gradients.

The score of a class is its logit. Integrated gradients are captum's. Its Grad-CAM requires a module to hook, but a
stage may end in a function or a modulator, and captum has neither of the other two methods; so all three are here.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from mien.core.errors import ModelError
from mien.models.layers.observing import observing
from mien.models.network import Network

STEPS = 32
# Images per forward pass along the path from the baseline.
PATH_BATCH = 64


def stage_maps(network: Network, images: Tensor, labels: Tensor, stage: str, method: str) -> Tensor:
    r"""Return class activation maps (N, h, w) of a stage, at least 0.

    With A the stage's map, after its modulator, y the logit of the class and :math:`g = \partial y / \partial A`:

    .. math::
        L^{\text{gradcam}} &= \mathrm{ReLU}\Big(\sum_k \alpha_k A^k\Big), \quad \alpha_k = \mathrm{mean}_{ij}\, g_{ij}^k
            && \text{Selvaraju 2017, Eq. (1), (2)} \\
        L^{\text{gradcam++}} &= \mathrm{ReLU}\Big(\sum_k w_k A^k\Big), \quad
            w_k = \sum_{ij} \alpha_{ij}^k\, \mathrm{ReLU}(g_{ij}^k), \quad
            \alpha_{ij}^k = \frac{(g_{ij}^k)^2}{2 (g_{ij}^k)^2 + \sum_{ab} A_{ab}^k (g_{ij}^k)^3}
            && \text{Chattopadhay 2018, Eq. (5), (19)} \\
        L^{\text{layercam}} &= \mathrm{ReLU}\Big(\sum_k \mathrm{ReLU}(g^k) \odot A^k\Big)
            && \text{Jiang 2021, Eq. (4) - (6)}

    Sources: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV
    2017. Chattopadhay et al., "Grad-CAM++: Generalized Gradient-based Visual Explanations for Deep Convolutional
    Networks", WACV 2018. Jiang et al., "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization", IEEE
    TIP 30, 2021.

    Deviations: Grad-CAM++'s score is exp(y); its factor exp(y) is constant over positions and omitted. 0 / 0 is 0.

    Args:
        network: In eval mode.
        images: (N, C, H, W).
        labels: (N,).
        stage: A stage of the network.
        method: "gradcam", "gradcam++" or "layercam".

    Raises:
        ModelError: The network does not observe the stage.
    """
    with torch.enable_grad(), observing(network) as seen:
        logits = network(images.detach().requires_grad_())
        if ("", stage) not in seen:
            raise ModelError(f"The network does not observe its stage '{stage}'; its `maps` must call `observe`.")
        maps = seen["", stage]
        (gradients,) = torch.autograd.grad(logits.gather(1, labels[:, None]).sum(), maps)
    maps = maps.detach()
    if method == "layercam":
        weights = F.relu(gradients)
    elif method == "gradcam":
        weights = gradients.mean(dim=(2, 3), keepdim=True)
    else:
        square = gradients.square()
        divisor = 2 * square + maps.sum(dim=(2, 3), keepdim=True) * gradients * square
        shares = torch.where(divisor == 0, 0.0, square / torch.where(divisor == 0, 1.0, divisor))
        weights = (shares * F.relu(gradients)).sum(dim=(2, 3), keepdim=True)
    return F.relu((weights * maps).sum(dim=1))


def integrate_gradients(network: Network, images: Tensor, labels: Tensor) -> Tensor:
    r"""Return integrated gradients (N, H, W), summed over the channels, signed.

    .. math:: L = \sum_c (x_c - x'_c) \int_0^1 \frac{\partial y}{\partial x_c}\big(x' + t (x - x')\big)\, dt

    where x' is 0 everywhere, the network's mean grey. The values sum to the logit's difference between x and x', up to
    the error of 32 integration steps (Gauss-Legendre). A mean-grey pixel always gets 0.

    Source: Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017, Eq. (1); computed by
    captum.

    Args:
        network: In eval mode.
        images: (N, C, H, W).
        labels: (N,).
    """
    from captum.attr import IntegratedGradients

    found: Tensor = IntegratedGradients(network).attribute(
        images.detach(),
        baselines=torch.zeros_like(images),
        target=labels,
        n_steps=STEPS,
        internal_batch_size=max(PATH_BATCH, len(images)),
    )
    return found.detach().sum(dim=1).float()
