"""bf16 where the hardware has it, 32 bits where it would be emulated."""

import pytest
import torch
from tiny_recipe import tiny_recipe

from mien.data.registry import load
from mien.recipes.schema import TrainingSettings
from mien.training import hardware
from mien.training.fit import fit
from mien.training.hardware import has_bf16, precision_here
from mien.training.task import Task
from mien.training.trainer import create_trainer

on_processors = pytest.mark.skipif(torch.cuda.is_available(), reason="there is an accelerator")


@on_processors
@pytest.mark.parametrize("is_native", [True, False])
@pytest.mark.parametrize("wanted", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_processor_computes_any_16_bits_in_bf16_or_in_32_bits_without_it(wanted, is_native, monkeypatch):
    monkeypatch.setattr(hardware, "has_bf16", lambda: is_native)
    given = "bf16-mixed" if is_native and wanted != "32-true" else "32-true"
    assert precision_here(TrainingSettings(precision=wanted)) == given
    assert create_trainer(TrainingSettings(precision=wanted), [], steps=1).precision == given


@pytest.mark.parametrize("wanted", ["bf16-mixed", "16-mixed"])
def test_accelerators_use_the_recipes_precision(wanted, monkeypatch):
    monkeypatch.setattr(hardware, "has_bf16", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert precision_here(TrainingSettings(precision=wanted)) == wanted


@pytest.mark.parametrize("is_supported", [True, False])
def test_torch_says_what_the_processor_has(is_supported, monkeypatch):
    assert isinstance(has_bf16(), bool)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: is_supported)
    assert has_bf16() is is_supported


@on_processors
@pytest.mark.parametrize("native", [True, False])
def test_run_and_record_name_the_precision_that_was_used(native, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(hardware, "has_bf16", lambda: native)
    formats = []
    step = Task.training_step

    def watched(task, batch, batch_idx):
        formats.append((task.memory_format, torch.is_autocast_enabled("cpu")))
        return step(task, batch, batch_idx)

    monkeypatch.setattr(Task, "training_step", watched)
    recipe = tiny_recipe(
        network={"options": {"width": 16, "stem": "small"}}, training={"batch_size": 128, "precision": "bf16-mixed"}
    )
    record = fit(recipe, load("synthetic", None), tmp_path, quiet=True).record
    assert set(formats) == {(torch.channels_last, native)}
    assert record.hardware["precision"] == ("bf16-mixed" if native else "32-true")
    assert record.recipe["training"]["precision"] == "bf16-mixed"
    assert ("training continues in 32-true" in capsys.readouterr().err) != native
