"""`python -m lab.widen RUN OUT`: write the weights of a network twice as wide that computes the same function.

A large teacher need not start from nothing (Net2Net, Chen et al. 2016). Each channel is there twice, and what the next
layer read from it, it reads from both in random parts, so that the two can become different in training. For networks
whose layers all double with `network.options.width`, such as the default; the file is for
`mien train ... --weights OUT --set network.options.width=...`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from lab.default_weights import write_weights
from mien.models.network import Network
from mien.training.run import create_network, load_run

SHARES = (0.25, 0.75)


def widen(network: Network, wide: Network, generator: torch.Generator) -> None:
    """Give a network with twice the channels the function of another one.

    Args:
        network: The trained network.
        wide: The same network with twice the width; its weights are replaced.
        generator: Draws the parts into which each weight is divided.
    """
    tensors = network.state_dict()
    wide.load_state_dict(
        {name: _widened(tensors[name], value.shape, generator) for name, value in wide.state_dict().items()}
    )


def _widened(narrow: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Return a tensor of twice the outputs and inputs, or of one of them: outputs repeated, inputs divided."""
    if not shape or narrow.shape == shape:
        return narrow
    repeated = torch.cat([narrow, narrow]) if shape[0] == 2 * len(narrow) else narrow
    if repeated.ndim < 2 or repeated.shape[1] == shape[1]:
        return repeated
    least, most = SHARES
    share = torch.rand(repeated.shape[:2], generator=generator) * (most - least) + least
    share = share.reshape(*share.shape, *[1] * (repeated.ndim - 2))
    return torch.cat([repeated * share, repeated * (1 - share)], dim=1)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m lab.widen", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the trained run")
    parser.add_argument("out", type=Path, help="safetensors file to write")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    run = load_run(chosen.run)
    options = dict(run.recipe.network.options)
    options["width"] = 2 * int(options["width"])
    network = run.recipe.network.model_copy(update={"options": options})
    wide = create_network(run.recipe.model_copy(update={"network": network}), len(run.record.labels))
    widen(run.network, wide, torch.Generator().manual_seed(chosen.seed))
    write_weights(wide.state_dict(), run.record.outputs, f"{run.record.name}-wide", chosen.out)
    print(f"{chosen.out}: width {options['width']}, {chosen.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
