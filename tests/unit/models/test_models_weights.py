from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save_file

from mien.core.errors import ModelError
from mien.models import registry, weights
from mien.models.weights import load_weights

SMALL = {"width": 8, "stem": "small"}


def resnet(seed=0, **arguments):
    torch.manual_seed(seed)
    return registry.create("resnet18", **{"options": SMALL, **arguments}).eval()


@pytest.fixture
def save(tmp_path):
    def write(content, name="weights.pth"):
        path = tmp_path / name
        if name.endswith(".safetensors"):
            save_file({key: value.contiguous() for key, value in content.items()}, path)
        else:
            torch.save(content, path)
        return path

    return write


def refused(network, path):
    """Return the one-line error of a file, after checking that the network is unchanged."""
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        load_weights(network, path)
    after = network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_gives_the_same_function(save, name):
    given, network = resnet(0), resnet(1)
    images = torch.randn(2, 1, 48, 40)
    assert not torch.equal(network(images), given(images))
    assert load_weights(network, save(given.state_dict(), name)) == [
        f"loaded 102 of the network's 102 tensors from {name}"
    ]
    assert torch.equal(network(images), given(images))


@pytest.mark.parametrize("prefix", ["module.", "network.", "backbone.", "module.network.", "_orig_mod."])
@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_wrappers_and_prefixes_are_taken_off(save, prefix, wrapper):
    given, network = resnet(0), resnet(1)
    content = {f"{prefix}{name}": value for name, value in given.state_dict().items()}
    load_weights(network, save(content if wrapper is None else {wrapper: content, "epoch": 3}))
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in given.state_dict().items())


def test_a_runs_checkpoint_is_read_and_ignored_tensors_are_listed(save):
    given, network = resnet(0), resnet(1)
    state = {f"network.{name}": value for name, value in given.state_dict().items()}
    path = save({"epoch": 1, "state_dict": {**state, "loss.centres": torch.zeros(7, 64)}, "callbacks": {}}, "best.ckpt")
    assert load_weights(network, path)[1:] == ["ignored 1 that the network does not have: loss.centres"]
    assert torch.equal(network.fc.weight, given.fc.weight)


@pytest.mark.parametrize("keep", [True, False])
def test_without_a_fitting_classifier_its_initial_values_stay(save, keep):
    given, network = resnet(0, num_classes=1000), resnet(1)
    start = network.fc.weight.clone()
    state = {name: value for name, value in given.state_dict().items() if keep or not name.startswith("fc.")}
    notes = load_weights(network, save(state))
    assert notes[0].startswith("loaded 100 of the network's 102 tensors")
    assert notes[1].startswith("the classifier fc keeps its initial values: it ")
    assert ("(1000, 64), (1000,) in the file" in notes[1]) == keep
    assert torch.equal(network.fc.weight, start)
    assert torch.equal(network.conv1.weight, given.conv1.weight)


@pytest.mark.parametrize("name", ["resnet18", "despam", "mobilenet_v2"])
@pytest.mark.parametrize(("given_channels", "channels"), [(3, 1), (1, 3)])
def test_the_first_convolution_is_adapted_to_the_channels_and_keeps_its_function(save, name, given_channels, channels):
    torch.manual_seed(0)
    given = registry.create(name, in_channels=given_channels).eval()
    network = registry.create(name, in_channels=channels).eval()
    notes = load_weights(network, save(given.state_dict()))
    assert any(("summed" if channels == 1 else "spread") in note for note in notes)
    grey = torch.randn(1, 1, 48, 64)
    wanted, result = (n(grey.expand(-1, n.in_channels, -1, -1)) for n in (given, network))
    torch.testing.assert_close(result, wanted, rtol=1e-4, atol=1e-5)


def test_modulators_and_a_papers_parts_may_be_missing(save, monkeypatch):
    given, network = resnet(0), resnet(1, modulators={"stage2": "despam"})
    network.insert_modulator("stage1", torch.nn.Conv2d(8, 8, 1))
    notes = load_weights(network, save(given.state_dict()))
    assert notes[1].startswith("not in the file, initial values kept: modulators.")
    assert torch.equal(network.conv1.weight, given.conv1.weight)
    state = {name: value for name, value in given.state_dict().items() if not name.startswith("layer4.1.")}
    path = save(state)
    assert "12 missing: layer4.1.conv1.weight" not in refused(resnet(1), path)  # the counters are not needed
    monkeypatch.setattr(type(network), "added_names", ("layer4.1",))
    load_weights(resnet(1), path)


def test_missing_and_wrongly_shaped_names_are_listed_and_nothing_is_loaded(save):
    state = dict(resnet(0).state_dict())
    for name in [name for name in state if name.startswith("layer3.")]:
        del state[name]
    state["layer1.0.conv1.weight"] = torch.zeros(8, 8, 5, 5)
    text = refused(resnet(1), save(state))
    assert "25 missing: layer3.0.conv1.weight, layer3.0.bn1.weight, " in text
    assert "and 21 more" in text
    assert "1 of another shape: layer1.0.conv1.weight is (8, 8, 5, 5) instead of (8, 8, 3, 3)" in text


@pytest.mark.parametrize(
    "value", [torch.full((8,), float("nan")), torch.zeros(8, dtype=torch.int64)], ids=["nan", "integers"]
)
def test_numbers_that_cannot_be_weights_are_refused(save, value):
    text = refused(resnet(1), save({**resnet(0).state_dict(), "bn1.bias": value}))
    assert "1 not finite or of another type: bn1.bias" in text


def test_half_precision_is_read(save):
    given, network = resnet(0).half(), resnet(1)
    load_weights(network, save(given.state_dict()))
    assert network.fc.weight.dtype == torch.float32
    assert torch.equal(network.fc.weight, given.fc.weight.float())


def test_another_networks_file_is_refused(save):
    text = refused(resnet(1), save(registry.create("mobilenet_v2").state_dict()))
    assert "none of the network's tensors, but 314 others (features.0.0.weight, " in text
    assert "expected conv1.weight, " in text


class Command:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("code was run",))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"state_dict": {"conv1.weight": Command()}}, "could run code and is not loaded"),
        ([1, 2], "contains no weights"),
        ({"epoch": 3}, "contains no weights"),
    ],
)
def test_a_file_without_plain_weights_is_refused(save, content, words):
    assert words in refused(resnet(1), save(content))


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a weights file", b"PK\x03\x04 damaged", b"\xff" * 64])
def test_a_damaged_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    text = refused(resnet(1), tmp_path / name)
    assert name in text
    assert "cannot be read" in text or "is not a weights file" in text


def test_a_plain_pickle_runs_nothing(tmp_path):
    (tmp_path / "weights.pkl").write_bytes(pickle.dumps(Command()))
    assert "could run code" in refused(resnet(1), tmp_path / "weights.pkl")


def test_a_missing_and_a_huge_file_are_refused_before_they_are_read(save, tmp_path, monkeypatch):
    assert "No weights file" in refused(resnet(1), tmp_path / "none.pth")
    assert "No weights file" in refused(resnet(1), tmp_path)
    path = save(resnet(0).state_dict())
    monkeypatch.setattr(weights, "LARGEST_FILE", 2**20)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("the file was read"))
    with path.open("r+b") as file:
        file.truncate(3 * 2**30)  # sparse: uses no disk space
    assert "holds 3.0 GiB; the limit is" in refused(resnet(1), path)


def torchvision_tensors(depths):
    """Names and shapes of torchvision's ResNet of basic blocks, 3 channels, 1000 classes, by its published rule."""

    def norm(name, channels):
        kinds = ("weight", "bias", "running_mean", "running_var")
        return {f"{name}.{kind}": (channels,) for kind in kinds} | {f"{name}.num_batches_tracked": ()}

    tensors = {"conv1.weight": (64, 3, 7, 7), **norm("bn1", 64)}
    before = 64
    for stage, depth in enumerate(depths, start=1):
        channels = 32 * 2**stage
        for block in range(depth):
            name = f"layer{stage}.{block}"
            tensors[f"{name}.conv1.weight"] = (channels, before, 3, 3)
            tensors |= norm(f"{name}.bn1", channels)
            tensors[f"{name}.conv2.weight"] = (channels, channels, 3, 3)
            tensors |= norm(f"{name}.bn2", channels)
            if before != channels:
                tensors[f"{name}.downsample.0.weight"] = (channels, before, 1, 1)
                tensors |= norm(f"{name}.downsample.1", channels)
            before = channels
    return tensors | {"fc.weight": (1000, 512), "fc.bias": (1000,)}


@pytest.mark.parametrize(("name", "depths"), [("resnet18", (2, 2, 2, 2)), ("resnet34", (3, 4, 6, 3))])
def test_resnets_state_has_torchvisions_names_and_shapes(name, depths):
    with torch.device("meta"):
        state = registry.create(name, in_channels=3, num_classes=1000).state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == torchvision_tensors(depths)
