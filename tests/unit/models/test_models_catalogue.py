from __future__ import annotations

from mien.models import registry
from mien.models.build_catalogue import build_catalogue
from mien.models.catalogue import PATH, catalogue


def test_the_committed_catalogue_is_fresh():
    assert PATH.read_text(encoding="utf-8") == build_catalogue(), "run: python -m mien.models.build_catalogue"


def test_it_lists_every_network_with_its_numbers():
    entries = {entry.name: entry for entry in catalogue()}
    assert sorted(entries) == [spec.name for spec in registry.built_in()]
    despam = entries["despam"]
    assert (despam.parameters, despam.parameters_deployed) == (1_312_339, 1_279_439)
    assert despam.input == (3, 112, 112)
    assert despam.to_json()["input"] == [3, 112, 112]
    assert all(entry.summary and entry.paper and entry.macs > 0 for entry in entries.values())
