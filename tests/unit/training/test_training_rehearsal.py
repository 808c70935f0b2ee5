"""Mistakes show in a step on two random images, before any data are loaded."""

import pytest
import torch

from mien.core.errors import MienError
from mien.recipes import load_recipe
from mien.training.rehearsal import rehearse

SMALL = ("network.input_size=32", "network.options.width=4")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["network.name=nope"], "No network named 'nope'"),
        (["network.options.wide=4"], "No option 'wide'"),
        (["network.modulators.stage9=se"], "No stage 'stage9'"),
        (["loss.name=nope"], "No loss named 'nope'"),
        (["loss.name=attention_diversity"], "attention"),
        (["optimizer.name=nope"], "No optimizer named 'nope'"),
        (["optimizer.options.foo=1"], "No option 'foo' of optimizer 'adamw'"),
        (["optimizer.options.fused=true", "optimizer.options.foreach=true"], "cannot step with .*fused = True"),
        (["optimizer.options.differentiable=true"], "cannot step with .*differentiable = True"),
        (["network.input_size=8"], "smallest input is 16 x 16"),
    ],
)
def test_mistakes_are_one_line(settings, message):
    with pytest.raises(MienError, match=message) as error:
        rehearse(load_recipe("resnet18/synthetic", [*SMALL, *settings]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("recipe", ["default/fer2013", "daf_mhsca/fer2013", "sldcnn/fer2013", "hfc/fer2013"])
def test_later_random_numbers_stay_the_same(recipe):
    state = torch.random.get_rng_state()
    rehearse(load_recipe(recipe, ["network.input_size=64"]))
    assert torch.equal(torch.random.get_rng_state(), state)
