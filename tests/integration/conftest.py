"""What several integration tests start from."""

from __future__ import annotations

import sys

import fake_camera
import numpy as np
import pytest
from browser import CAMERA, launch
from PIL import Image

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


@pytest.fixture(scope="module")
def portraits(astronaut, hopper):
    """The two portraits, RGB and square."""
    with Image.open(hopper) as image:
        return astronaut[0:300, 70:370], np.asarray(image.convert("RGB"))[30:480, 40:490]


@pytest.fixture(scope="module")
def chromium():
    """Playwright's starter of Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
    with playwright.sync_playwright() as driver:
        yield driver.chromium


@pytest.fixture(scope="module")
def browser(chromium, portraits, tmp_path_factory):
    """A browser whose camera plays the two portraits."""
    clip = tmp_path_factory.mktemp("clip") / "clip.y4m"
    fake_camera.write_clip(clip, *portraits)
    running = launch(chromium, *CAMERA, f"--use-file-for-fake-video-capture={clip}")
    yield running
    running.close()
