"""The examples in docstrings run."""

import doctest
import importlib
from pathlib import Path

import pytest

import mien

ROOT = Path(mien.__file__).parent
FILES = sorted(file.relative_to(ROOT.parent) for file in ROOT.rglob("*.py") if ">>> " in file.read_text("utf-8"))


@pytest.mark.parametrize("name", [".".join(file.with_suffix("").parts) for file in FILES])
def test_examples_of_a_module_run(name):
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
