"""bf16 where the hardware has it, 32 bits where it would be emulated."""

from types import SimpleNamespace

import pytest
import torch

from mien.data.registry import load
from mien.recipes import Recipe
from mien.recipes.schema import TrainingSettings
from mien.training import hardware
from mien.training.fit import fit
from mien.training.hardware import has_bf16, precision_here
from mien.training.task import Task
from mien.training.trainer import create_trainer

on_processors = pytest.mark.skipif(torch.cuda.is_available(), reason="there is an accelerator")


@on_processors
@pytest.mark.parametrize(
    ("wanted", "given"), [("32-true", "32-true"), ("bf16-mixed", "bf16-mixed"), ("16-mixed", "bf16-mixed")]
)
def test_a_processor_with_bf16_takes_it_for_any_16_bits(wanted, given, monkeypatch):
    monkeypatch.setattr(hardware, "has_bf16", lambda: True)
    assert precision_here(TrainingSettings(precision=wanted)) == given
    assert create_trainer(TrainingSettings(precision=wanted), [], max_steps=1).precision == given


@on_processors
@pytest.mark.parametrize(
    ("wanted", "given"), [("32-true", "32-true"), ("bf16-mixed", "32-true"), ("16-mixed", "32-true")]
)
def test_a_processor_without_bf16_takes_32_bits(wanted, given, monkeypatch):
    monkeypatch.setattr(hardware, "has_bf16", lambda: False)
    assert precision_here(TrainingSettings(precision=wanted)) == given
    assert create_trainer(TrainingSettings(precision="bf16-mixed"), [], max_steps=1).precision == "32-true"


@pytest.mark.parametrize("wanted", ["bf16-mixed", "16-mixed"])
def test_accelerators_are_not_asked_for_the_processors_arithmetic(wanted, monkeypatch):
    monkeypatch.setattr(hardware, "has_bf16", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert precision_here(TrainingSettings(precision=wanted)) == wanted


@pytest.mark.parametrize("told", [True, False])
def test_torch_tells(told, monkeypatch):
    assert isinstance(has_bf16(), bool)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: told)
    assert has_bf16() is told


def test_torch_without_onednn_is_taken_to_have_it(monkeypatch):
    monkeypatch.setattr(hardware, "torch", SimpleNamespace(ops=SimpleNamespace(mkldnn=SimpleNamespace())))
    assert has_bf16()


@on_processors
@pytest.mark.parametrize("native", [True, False])
def test_run_and_record_say_what_was_calculated_in(native, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(hardware, "has_bf16", lambda: native)
    formats = []
    step = Task.training_step

    def watched(task, batch, batch_idx):
        formats.append((task.memory_format, torch.is_autocast_enabled("cpu")))
        return step(task, batch, batch_idx)

    monkeypatch.setattr(Task, "training_step", watched)
    recipe = Recipe.model_validate(
        {
            "name": "tiny",
            "data": {"dataset": "synthetic"},
            "network": {"name": "resnet18", "input_size": 16, "options": {"width": 16, "stem": "small"}},
            "schedule": {"epochs": 1, "warmup_epochs": 0},
            "training": {"batch_size": 128, "threads": 1, "precision": "bf16-mixed"},
        }
    )
    record = fit(recipe, load("synthetic", None), tmp_path, quiet=True).record
    assert set(formats) == {(torch.channels_last, native)}
    assert record.hardware["precision"] == ("bf16-mixed" if native else "32-true")
    assert record.recipe["training"]["precision"] == "bf16-mixed"
    assert ("training continues in 32 bits" in capsys.readouterr().err) != native
