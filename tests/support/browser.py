"""The web page in a headless Chromium."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# A camera that needs no permission.
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
PATIENCE = 40_000  # milliseconds; the machine may be busy
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")


def launch(chromium: Any, *flags: str) -> Any:
    """Start the system's Chromium."""
    return chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *flags])


def opened(
    browser: Any, address: str, known: str = "", width: int = 1280, ready: str = "#open-card:enabled"
) -> Iterator[Any]:
    """Yield a page once `ready` can be seen; a test fails on any error in the browser's console but the known one."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.locator(ready).first.wait_for()
    yield page
    context.close()
    # what the browser logs about refused requests is expected
    assert [text for text in errors if "Failed to load resource" not in text and not (known and known in text)] == []


def wait_for_text(page: Any, selector: str, text: str) -> None:
    """Wait for an element with a text."""
    page.locator(selector, has_text=text).wait_for()


def wait_until(page: Any, check: Callable[[], bool], seconds: float = PATIENCE / 1000) -> None:
    """Wait for something that the page does."""
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, "it has not happened"
        page.wait_for_timeout(50)


def percentages(page: Any, rows: str) -> dict[str, int]:
    """Return what a list of bars says."""
    texts = page.locator(f"{rows} li").all_inner_texts()
    return {text.split()[0]: int(text.split()[1]) for text in texts}


def upload(name: str, content: bytes, kind: str) -> dict[str, Any]:
    """Return a file to choose."""
    return {"name": name, "mimeType": kind, "buffer": content}


def jpeg(pixels: np.ndarray) -> bytes:
    """Encode an RGB image (h, w, 3)."""
    return bytes(cv2.imencode(".jpg", pixels[..., ::-1])[1])
