"""Run records: every version's are read, and what cannot be read is one clear line."""

import json
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.recipes import load_recipe, parse_recipe
from mien.recipes.departures import describe_changes
from mien.recipes.record import FORMAT, RunRecord, name_hardware

FIRST = {"name": "a", "recipe": {}, "data": {}, "labels": ["happy"], "parameters": 1, "mean": 0.5, "std": 0.25}
COMMITTED = sorted(Path(__file__).parents[3].glob("results/runs/*/record.json"))


@pytest.fixture
def read(tmp_path):
    def load(content):
        (tmp_path / "record.json").write_text(content if isinstance(content, str) else json.dumps(content))
        return RunRecord.load(tmp_path / "record.json")

    return load


def test_round_trip(tmp_path):
    record = RunRecord(**FIRST, curves=[{"epoch": 0}])
    record.save(tmp_path / "record.json")
    assert RunRecord.load(tmp_path / "record.json") == record


def test_a_record_from_before_formats_gets_defaults_and_present_names(read):
    record = read(FIRST | {"scores": {"without_twins": {"n": 3}}, "recipe": {"training": {"use_graphs": True}}})
    assert (record.macs, record.finished, record.format) == (0, False, FORMAT)
    assert (record.scores, record.recipe) == ({"without_duplicates": {"n": 3}}, {"training": {}})


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ({"format": FORMAT + 1}, rf"format {FORMAT + 1}; this version of mien reads formats up to {FORMAT}"),
        ({"format": FORMAT + 1, "weather": "fine"}, r"unknown keys \(weather\).* Update mien"),
    ],
)
def test_a_record_of_a_later_version_says_so(read, added, message):
    with pytest.raises(MienError, match=message):
        read(FIRST | added)


@pytest.mark.parametrize("content", ["{", "[]", {"x": 1}])
def test_other_files_are_not_run_records(read, content):
    with pytest.raises(MienError, match="is not a run record"):
        read(content)


def test_committed_records_need_no_patching():
    assert COMMITTED
    for path in COMMITTED:
        assert parse_recipe(RunRecord.load(path).recipe, str(path)).crop.scale == 1


def test_a_setting_newer_than_the_record_is_not_a_departure():
    recipe = load_recipe("hfc/fer2013", ["optimizer.lr=1e-3"]).model_dump()
    del recipe["crop"], recipe["training"]["patience"], recipe["augmentation"]["cutmix"]
    assert describe_changes({"recipe": recipe}) == ("optimizer.lr 0.001 (0.0001)",)


def test_hardware_is_the_accelerator_or_the_processor():
    assert name_hardware({"accelerator": "cpu", "processor": "chip"}) == "chip"
    assert name_hardware({"accelerator": "fast", "processor": "chip"}) == "fast"
    assert name_hardware({}) == ""
