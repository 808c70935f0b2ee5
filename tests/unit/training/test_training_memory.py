"""Memory that a step freed is kept for the next one."""

import os
import platform
import subprocess
import sys

import pytest

from mien.apps import cli
from mien.training.memory import LARGE_PAGES

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")

# Steps that free all they took, as a training step does its activations. Left to itself glibc gives the 360 MiB back,
# mostly, and the system clears 92,160 pages for the next step.
STEPS = """
import resource
import torch
from mien.training.memory import keep_freed_memory

def pages_of_a_step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = [torch.ones(30 * 2**18) for _ in range(12)]
    del kept
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
assert keep_freed_memory()
print([pages_of_a_step() for _ in range(4)][-1])
"""


def test_a_step_reuses_the_memory_of_the_last_one():
    small_pages = os.environ | {LARGE_PAGES: "0"}
    done = subprocess.run([sys.executable, "-c", STEPS], env=small_pages, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100


def test_the_command_asks_for_large_pages_unless_the_variable_is_set(monkeypatch):
    seen = []
    monkeypatch.setattr(cli, "app", lambda: seen.append(os.environ[LARGE_PAGES]))
    monkeypatch.setenv(LARGE_PAGES, "0")
    cli.main()
    monkeypatch.delenv(LARGE_PAGES)
    cli.main()
    assert seen == ["0", "1"]
