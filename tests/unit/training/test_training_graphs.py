"""Recorded passes give what the passes give, and leave nothing behind. Recording itself needs an accelerator."""

import pytest
import torch
from tiny_recipe import tiny_recipe

from mien.core.errors import RecipeError
from mien.data.registry import load
from mien.models import registry
from mien.recipes import load_recipe
from mien.training import graphs
from mien.training.fit import fit
from mien.training.graphs import record_logits, record_outputs

IMAGES = torch.rand(4, 1, 32, 32)


def network(name="resnet18", **options):
    torch.manual_seed(0)
    return registry.create(name, num_classes=7, in_channels=1, options=options)


def buffers(module):
    return {name: buffer.clone() for name, buffer in module.named_buffers()}


@pytest.fixture
def recorder(monkeypatch):
    """What torch does: a few passes there and back before the recording, then the module with another `forward`."""
    calls = []

    def record(module, sample):
        for _ in range(3):
            outputs = module(*sample)
            if torch.is_grad_enabled():
                sum(o.sum() for o in outputs).backward()
        module.zero_grad()
        forward = module.forward

        def replay(images):
            calls.append(tuple(images.shape))
            return forward(images)

        module.forward = replay
        return module

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", record)
    return calls


def test_outputs_are_those_of_the_network(recorder):
    net = network(width=8, stem="small").train()
    before = buffers(net)
    outputs = record_outputs(net, torch.zeros_like(IMAGES))
    assert all(torch.equal(value, before[name]) for name, value in net.named_buffers())
    recorder.clear()
    given = outputs(IMAGES)
    assert recorder == [(4, 1, 32, 32)]
    again = network(width=8, stem="small").train()
    expected = again.outputs(IMAGES)
    assert torch.equal(given.logits, expected.logits)
    assert torch.equal(given.features, expected.features)
    assert given.attention is None
    given.logits.square().sum().backward()
    expected.logits.square().sum().backward()
    for weight, other in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(weight.grad, other.grad)


def test_attention_maps_are_kept(recorder):
    net = network("daf_mhsca").train()
    images = torch.rand(2, 1, 64, 64)
    assert record_outputs(net, images)(images).attention.shape[:2] == (2, 4)


def test_logits_of_a_folded_network(recorder):
    net = network(width=8, stem="small").folded()
    given = record_logits(net, torch.zeros_like(IMAGES))(IMAGES)
    assert not given.requires_grad
    assert torch.equal(given, network(width=8, stem="small").folded()(IMAGES))


def test_what_cannot_be_recorded_runs_without(monkeypatch, capsys):
    def refuse(module, sample):
        module(*sample)
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    monkeypatch.setattr(torch.cuda, "make_graphed_callables", refuse)
    net = network(width=8, stem="small").train()
    before = buffers(net)
    assert record_outputs(net, IMAGES) == net.outputs
    assert all(torch.equal(value, before[name]) for name, value in net.named_buffers())
    note = capsys.readouterr().err
    assert note.count("\n") == 1
    assert "without CUDA graphs, slower (RuntimeError: operation not permitted when stream is capturing)" in note
    assert record_logits(net, IMAGES) is net


def test_compiling_and_recording_exclude_each_other():
    with pytest.raises(RecipeError, match="set one to false"):
        load_recipe("default/fer2013", ["training.use_graphs=true"])
    load_recipe("default/fer2013", ["training.use_graphs=true", "training.use_compile=false"])


def tiny(**training):
    return tiny_recipe(data={"not_a_face_share": 0.1}, schedule={"epochs": 2}, training={"ema_decay": 0.9, **training})


def test_processors_record_nothing(monkeypatch, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is an accelerator")
    monkeypatch.setattr(graphs, "_recorded", lambda *given: pytest.fail("recorded"))
    assert fit(tiny(use_graphs=True), load("synthetic", None), tmp_path, quiet=True).record.finished


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
def test_a_recorded_run_learns_like_any_other(tmp_path, capsys):
    faces = load("synthetic", None)
    losses = {}
    for use_graphs in (False, True):
        run = fit(tiny(use_graphs=use_graphs), faces, tmp_path / str(use_graphs), quiet=True)
        losses[use_graphs] = [point["train_loss"] for point in run.record.curves]
    assert "without CUDA graphs" not in capsys.readouterr().err
    assert losses[True] == pytest.approx(losses[False], rel=1e-2)
