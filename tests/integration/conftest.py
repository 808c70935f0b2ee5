"""What several integration tests start from."""

from __future__ import annotations

import sys

import pytest

from mien.apps.cli import main


@pytest.fixture
def mien(monkeypatch, capsys):
    """Run the command line in this process: (exit code, standard output, standard error)."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def torch_threads():
    """Give torch its number of threads back after a recipe has set it in this process."""
    import torch

    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
