"""`mien card`: what it prints, and that renewing changes the card alone."""

import dataclasses
import json

import onnx
import pytest
from tiny_model import tiny_card, tiny_network
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.core.card import METADATA_KEY, CropSpec, ModelCard
from mien.core.errors import MienError, ModelError
from mien.export.model_file import with_card
from mien.inference.model import OnnxModel


def call(*words):
    done = CliRunner().invoke(app, ["card", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_the_card_is_printed_as_text_and_as_json(tiny_model):
    text = call(tiny_model, "default")
    assert all(word in text for word in ("happy", "48 x 48 grey", "scale 1", "not measured"))
    assert "fer2013 validation faces" in text
    assert ModelCard.from_json(call(tiny_model, "--json")) == OnnxModel.load(tiny_model).card


@pytest.mark.parametrize(("lost", "words"), [(0.001, "0.10 points below"), (-0.0071, "0.71 points above")])
def test_a_conversion_says_whether_accuracy_was_lost_or_gained(tmp_path, lost, words):
    scores = {"accuracy": 0.5, "mean_class_accuracy": 0.5, "n": 9, "dataset": "folder", "split": "validation"}
    card = dataclasses.replace(tiny_card(), scores=scores, conversion={"accuracy_loss": lost})
    path = tmp_path / "small.onnx"
    path.write_bytes(with_card(tiny_network().SerializeToString(), card))
    assert f"faces; {words} 32 bits" in call(path)


def old_file(tmp_path):
    """Write a model whose card has the name of a field as it was in the first release."""
    card = dataclasses.replace(tiny_card(), conversion={"accuracy_loss": 0.001})
    path = tmp_path / "old.onnx"
    model = onnx.load_from_string(with_card(tiny_network().SerializeToString(), card))
    (entry,) = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
    entry.value = entry.value.replace('"conversion"', '"lowered"')
    onnx.save(model, path)
    return path


def test_renewing_writes_the_present_format_and_leaves_the_weights(tmp_path):
    path = old_file(tmp_path)
    before = onnx.load(path)
    call(path, "--renew")
    after = onnx.load(path)
    (entry,) = [entry for entry in after.metadata_props if entry.key == METADATA_KEY]
    assert json.loads(entry.value)["conversion"] == {"accuracy_loss": 0.001}
    assert after.graph == before.graph
    content = path.read_bytes()
    call(path, "--renew")
    assert path.read_bytes() == content


def test_another_crop_is_a_recipe_and_one_command(tmp_path):
    recipe, path = tmp_path / "wide.toml", old_file(tmp_path)
    recipe.write_text('name = "wide"\nnetwork.name = "resnet18"\n[crop]\nscale = 1.3\nshift_y = 0.1\n')
    card = OnnxModel.load(path).card
    assert "scale 1.3" in call(path, "--renew", "--recipe", recipe)
    assert OnnxModel.load(path).card == dataclasses.replace(card, crop=CropSpec(1.3, 0, 0.1))


def test_what_is_wrong_is_named_before_anything_is_written(tmp_path):
    path = old_file(tmp_path)
    content = path.read_bytes()
    with pytest.raises(MienError, match="expected --renew"):
        call(path, "--recipe", "default")
    with pytest.raises(ModelError, match="No model named 'defualt'"):
        call(path, "defualt", "--renew")
    assert path.read_bytes() == content
