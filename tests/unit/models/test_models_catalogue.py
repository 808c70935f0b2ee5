from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mien.models import catalogue, registry
from mien.models.catalogue import PATH, count_module, module_names

STORED = json.loads(PATH.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", STORED)
def test_stored_counts_are_those_of_the_networks(module):
    assert module in module_names()
    counted = json.loads(json.dumps([catalogue.asdict(entry) for entry in count_module(module)]))
    assert STORED[module] == counted, "run: python -m mien.models.catalogue"


def test_every_network_is_listed_by_name():
    entries = {entry.name: entry for entry in catalogue.catalogue()}
    assert list(entries) == sorted(set(registry.names()) - {"timm"})
    despam = entries["despam"]
    assert (despam.parameters, despam.parameters_deployed) == (1_312_339, 1_279_439)
    assert despam.input == (3, 112, 112)


def test_a_file_without_stored_counts_is_counted(monkeypatch, tmp_path):
    monkeypatch.setattr(catalogue, "PATH", tmp_path / "catalogue.json")
    kept = {name: rows for name, rows in STORED.items() if name != "papers.despam"}
    catalogue.PATH.write_text(json.dumps(kept), encoding="utf-8")
    assert [entry for entry in catalogue.catalogue() if entry.name == "despam"] == count_module("papers.despam")


def test_reading_the_catalogue_needs_no_torch():
    code = (
        "import sys, json; from mien.models import catalogue as c\n"
        "c.module_names = lambda: json.loads(c.PATH.read_text())\n"
        "c.catalogue(); print('torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
