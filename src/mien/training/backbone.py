"""The backbone of a network that starts from trained weights: frozen, or trained more slowly."""

from __future__ import annotations

from typing import Any

from torch import nn

from mien.models.network import Network
from mien.models.optimizers.registry import decay_groups
from mien.recipes.schema import OptimizerSettings

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)


def parameter_groups(network: Network, settings: OptimizerSettings) -> list[dict[str, Any]]:
    """Return the optimizer's groups: the classifier's with the recipe's rate, the backbone's with its share of it."""
    share = settings.backbone_lr_share
    if share == 1:
        return decay_groups(network)
    own = {id(parameter) for parameter in network.get_submodule(network.classifier_name).parameters()}
    groups = decay_groups(network)
    classifier = [group | {"params": [p for p in group["params"] if id(p) in own]} for group in groups]
    backbone = [group | {"params": [p for p in group["params"] if id(p) not in own]} for group in groups]
    return [*classifier, *(group | {"lr": share * settings.lr} for group in backbone if share)]


def freeze_backbone(network: Network, settings: OptimizerSettings) -> None:
    """Compute no gradients for a backbone that is not trained, whose share of the rate is 0."""
    if settings.backbone_lr_share == 0:
        network.requires_grad_(requires_grad=False)
        network.get_submodule(network.classifier_name).requires_grad_(requires_grad=True)


def keep_statistics(network: Network, settings: OptimizerSettings) -> None:
    """Let the batch norms of a slower or frozen backbone use the statistics that they came with.

    Those of small batches are noise. Changes the mode of a network in training mode.
    """
    if settings.backbone_lr_share < 1:
        for part in network.modules():
            if isinstance(part, BATCH_NORMS):
                part.eval()
