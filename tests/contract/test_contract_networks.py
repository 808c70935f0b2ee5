"""What every network that can be found by name must do."""

from __future__ import annotations

import io

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from cases import ABLATIONS, BACKBONES, SLIM, SMALL
from torch import nn

from mien.core.errors import ModelError
from mien.models import registry
from mien.models.catalogue import catalogue
from mien.models.complexity import count_parameters
from mien.models.modulators import registry as modulators
from mien.models.network import Network

NETWORKS = registry.names()
CLASSES = 7


def create(name: str, **arguments) -> Network:
    """Make a network; one that is large with its small options, over which those given win."""
    options = {**SMALL.get(name, {}), **(arguments.pop("options", None) or {})}
    return registry.create(name, options=options, **arguments)


def randomize(network: Network) -> Network:
    """Set batch norms to scales, shifts and statistics as after training."""
    torch.manual_seed(3)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.3, 0.9)
            nn.init.normal_(norm.bias, std=0.1)
            norm.running_mean.normal_(std=0.1)
            norm.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Small maps gain nothing from threads, and lose much where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request) -> Network:
    torch.manual_seed(0)
    return randomize(create(request.param))


@pytest.fixture(scope="module")
def folded(network) -> Network:
    return network.folded()


def images_for(network: Network, n: int, height: int = 48, width: int = 48) -> torch.Tensor:
    torch.manual_seed(1)
    least = network.smallest_input
    return torch.randn(n, network.in_channels, max(height, least), max(width, least))


@pytest.mark.parametrize(("n", "height", "width"), [(1, 48, 48), (2, 48, 65), (1, 112, 112), (3, 51, 37)])
@torch.no_grad()
def test_output_and_features(network, n, height, width):
    images = images_for(network, n, height, width)
    features = network.features(images)
    assert features.shape[0] == n
    assert features.ndim == 2
    logits = network(images)
    assert logits.shape == (n, CLASSES)
    assert logits.isfinite().all()
    assert torch.equal(logits, network.classify(features))
    outputs = network.outputs(images)
    torch.testing.assert_close(outputs.logits, logits)
    torch.testing.assert_close(outputs.features, features)
    assert outputs.features.shape[1] == network.feature_size
    assert outputs.attention is None or outputs.attention.shape[0] == n
    # An image's logits do not depend on the others in its batch.
    torch.testing.assert_close(network(images[:1]), logits[:1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_channels_and_classes_are_free(name):
    network = create(name, in_channels=3, num_classes=8).eval()
    assert network(images_for(network, 1)).shape == (1, 8)


def test_stages_have_their_channels_and_strides(network):
    assert len(set(network.stage_names)) == len(network.stage_names)
    maps = images_for(network, 1, 64, 96)
    height, width = maps.shape[-2:]
    for stage in network.stages:
        with torch.no_grad():
            maps = network.run_stage(stage.name, maps)
        assert maps.shape == (1, stage.channels, -(-height // stage.stride), -(-width // stage.stride))


def test_the_smallest_input_works_and_a_smaller_one_is_an_error(network):
    least = network.smallest_input
    with torch.no_grad():
        assert network(torch.randn(1, network.in_channels, least, least)).isfinite().all()
    with pytest.raises(ModelError, match=f"the smallest input is {least} x {least}"):
        network(torch.randn(1, network.in_channels, least, least - 1))
    with pytest.raises(ModelError, match=r"it takes \(N, 1, height, width\)"):
        network(torch.randn(1, 2, 48, 48))


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_reach_every_trained_parameter(name):
    torch.manual_seed(0)
    network = create(name).train()
    for parameter in network.parameters():
        if parameter.ndim > 1 and not parameter.any():  # zero at first, so that nothing would reach what it reads
            nn.init.normal_(parameter, std=0.01)
    outputs = network.outputs(images_for(network, 4))
    attended = 0 if outputs.attention is None else outputs.attention.square().mean()
    (F.cross_entropy(outputs.logits, torch.arange(4)) + attended).backward()
    trained = {key: p for key, p in network.named_parameters() if p.requires_grad}
    idle = [key for key, p in trained.items() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not idle


@pytest.mark.parametrize("name", NETWORKS)
def test_state_round_trip(name):
    network, other = randomize(create(name)), create(name).eval()
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    buffer.seek(0)
    images = images_for(network, 1)
    with torch.no_grad():
        before = other(images)
        other.load_state_dict(torch.load(buffer, weights_only=True))
        assert not torch.equal(before, network(images))
        assert torch.equal(other(images), network(images))


@torch.no_grad()
def test_folding_keeps_the_function(network, folded):
    images = images_for(network, 4, 48, 61)
    assert (folded(images) - network(images)).abs().max() < 1e-4
    assert not folded.training
    assert count_parameters(folded) < count_parameters(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_agrees_with_torch(folded):
    file = io.BytesIO()
    torch.onnx.export(
        folded,
        (images_for(folded, 2),),
        file,
        dynamo=False,
        opset_version=17,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "n"}, "logits": {0: "n"}},
    )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file.getvalue(), settings, providers=["CPUExecutionProvider"])
    for n in (1, 8):
        images = images_for(folded, n)
        with torch.no_grad():
            wanted = folded(images).numpy()
        (given,) = session.run(None, {"images": images.numpy()})
        assert np.abs(given - wanted).max() < 1e-4


@pytest.mark.parametrize(("name", "change"), [(name, c) for name, cs in ABLATIONS.items() for c in cs])
def test_an_ablation_changes_something(name, change):
    torch.manual_seed(0)
    plain = create(name)
    torch.manual_seed(0)
    changed = create(name, **change)
    if count_parameters(plain) == count_parameters(changed):
        images = images_for(plain, 1)
        with torch.no_grad():
            # as initialized, where some changes are too small to see, or with norms as after training
            assert any(not torch.allclose(p(plain)(images), p(changed)(images)) for p in (nn.Module.eval, randomize))


def test_every_built_in_network_has_ablations():
    assert set(ABLATIONS) == {entry.name for entry in catalogue()}


@pytest.mark.parametrize("name", NETWORKS)
def test_sixteen_images_are_memorized(name):
    torch.manual_seed(0)
    network = registry.create(name, options=SLIM.get(name))
    images, labels = images_for(network, 16, 24, 24), torch.arange(16) % CLASSES
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for step in range(1, 101):
        network.train()
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
        if step % 10 == 0 and _accuracy(network, images, labels) == 1:
            break
    assert _accuracy(network, images, labels) == 1


@pytest.mark.parametrize("name", modulators.names())
@pytest.mark.parametrize("network_name", BACKBONES)
def test_any_modulator_goes_after_any_stage(network_name, name):
    torch.manual_seed(0)
    options = BACKBONES[network_name]
    stages = registry.create(network_name, options=options).stage_names
    network = registry.create(network_name, options=options, modulators=dict.fromkeys(stages, name))
    assert set(network.modulators) == set(stages)
    randomize(network)
    images = images_for(network, 2, 48, 40)
    with torch.no_grad():
        logits = network(images)
        assert logits.shape == (2, CLASSES)
        assert (network.folded()(images) - logits).abs().max() < 1e-4
        for stage in network.stages:
            maps = torch.randn(1, stage.channels, 6, 5)
            assert network.modulators[stage.name](maps).shape == maps.shape


@torch.no_grad()
def _accuracy(network: Network, images: torch.Tensor, labels: torch.Tensor) -> float:
    return (network.eval()(images).argmax(1) == labels).float().mean().item()
