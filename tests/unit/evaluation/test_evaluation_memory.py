"""Peak memory: a process measures its own, and each model is measured in its own process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mien.core.errors import MienError
from mien.evaluation import memory
from mien.evaluation.memory import MIB, measure_memory, read_peak

GROW = """
from mien.evaluation.memory import read_peak
before = read_peak()
held = b"x" * (100 << 20)
del held
print(read_peak() - before)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not report it")
def test_the_peak_is_in_bytes_and_remains():
    grown = int(subprocess.run([sys.executable, "-c", GROW], capture_output=True, text=True, check=True).stdout)
    assert 95 * MIB < grown < 115 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not report it")
def test_each_network_is_measured_apart(tiny_model):
    measured = measure_memory(["default", "default"], tiny_model.read_bytes())
    one, other = measured["models"]
    assert (one["network"], one["input"]) == ("default/fer2013-64px-distilled", [1, 1, 64, 64])
    # in one process the second load would add next to nothing
    assert other["mib"] == pytest.approx(one["mib"], rel=0.2)
    assert measured["reference"]["mib"] < one["mib"]
    assert one["ratio"] == pytest.approx(measured["reference"]["mib"] / one["mib"], abs=0.1)
    assert not re.search(r"/(home|work|tmp|usr|root)|\b20\d\d-\d\d", json.dumps(measured))
    alone = measure_memory([str(tiny_model)], None)
    assert (alone["reference"], alone["models"][0]["ratio"]) == (None, None)


def test_what_cannot_be_measured_is_refused(monkeypatch):
    with pytest.raises(MienError, match=r"^none\.onnx: no such model file"):
        measure_memory(["none.onnx"], None)
    monkeypatch.setattr(memory, "sys", SimpleNamespace(platform="win32"))
    with pytest.raises(MienError, match="cannot be measured"):
        read_peak()
