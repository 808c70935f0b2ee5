"""One step of a recipe on two random images: mistakes show before any data are loaded."""

from __future__ import annotations

import torch

from mien.core.errors import RecipeError
from mien.models.losses import Problem
from mien.models.losses.registry import create_loss
from mien.recipes import Recipe
from mien.training.run import create_network
from mien.training.task import make_optimizer

IMAGES = 2


def rehearse(recipe: Recipe) -> None:
    """Make a recipe's network, loss and optimizer, and take a step on the device that will train.

    Raises:
        MienError: A name or an option is unknown, a value does not fit, or the parts do not fit together.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with torch.random.fork_rng():
        network = create_network(recipe, IMAGES).to(device)
        classes = network.num_classes
        loss = create_loss(recipe.loss.name, Problem((1,) * classes, network.feature_size), recipe.loss.options)
        size = recipe.network.input_size
        images = torch.rand(IMAGES, recipe.network.channels, size, size, device=device)
        loss.to(device)(network.outputs(images), torch.eye(classes, device=device)[:IMAGES]).backward()
        settings = recipe.optimizer
        try:
            make_optimizer(network, settings, settings.options).step()
        except (RuntimeError, AssertionError) as error:  # torch's own checks of options that exclude each other
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            given = ", ".join(f"{name} = {value}" for name, value in settings.options.items()) or "its defaults"
            raise RecipeError(f"Optimizer '{settings.name}' cannot step with {given}: {reason}") from None
