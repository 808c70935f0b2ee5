"""Measure the delay of a camera's boxes: a headless Chromium plays a clip as its camera to a local server.

mien's own face detector, YuNet and Haar are measured one after the other, with the same clip.

The clip has 640 x 480 pixels, 25 frames per second and three drawn faces. The page shows the delay, from capturing a
frame to drawing its boxes, and the frames per second that it gets responses to; both are read repeatedly for some
seconds. Browser and server share the processor. Requires Playwright and a Chromium.

    python -m lab.benchmarks.camera --out results/camera.json
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from lab.benchmarks.command import available_detectors, make_parser, write_record
from lab.benchmarks.drawn_clip import FACES, RATE, draw_frames
from mien.core.hardware import available_cores, processor_name

SIZE = (640, 480)
CLIP_SECONDS = 8
WARM_UP = 5
BETWEEN = 0.5  # seconds between two readings; each is the median of the page's last two seconds


def write_camera(path: Path) -> None:
    """Write the clip as YUV4MPEG2, which Chromium uses as a camera, in a loop."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in draw_frames(list(available_detectors().values()), SIZE, CLIP_SECONDS * RATE):
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())


def watch(page: Page, seconds: float) -> dict[str, Any]:
    """Start the camera and read the page's figures."""
    page.click("#camera")
    page.locator("#faces button").nth(FACES - 1).wait_for(timeout=60_000)
    page.wait_for_timeout(1000 * WARM_UP)
    delays, rates, faces = [], [], []
    for _ in range(round(seconds / BETWEEN)):
        page.wait_for_timeout(1000 * BETWEEN)
        delays.append(int(page.inner_text("#delay").removesuffix(" ms")))
        rates.append(int(page.inner_text("#rate")))
        faces.append(page.locator("#faces button").count())
    return {
        "delay_ms": statistics.median(delays),
        "delay_ms_lowest": min(delays),
        "delay_ms_highest": max(delays),
        "frames_per_second": statistics.median(rates),
        "readings_with_all_faces": round(float(np.mean([count == FACES for count in faces])), 3),
    }


def measure(clip: Path, detector: str, seconds: float) -> dict[str, Any]:
    """Run a server and a browser with the clip as its camera, and return the readings."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    words = [sys.executable, "-m", "mien", "serve", "--port", "0", "--detector", detector]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        address = next(word for word in server.stdout.readline().split() if word.startswith("http"))
        flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        flags.append(f"--use-file-for-fake-video-capture={clip}")
        with sync_playwright() as driver:
            running = driver.chromium.launch(executable_path=browser, args=flags)
            page = running.new_page(viewport={"width": 1280, "height": 900})
            page.goto(address)
            page.locator("#open-card:enabled").wait_for()
            readings = watch(page, seconds)
            running.close()
    finally:
        server.terminate()
        server.wait(30)
    return readings


def main() -> None:
    """Measure, print, and write the record."""
    parser = make_parser(__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="seconds per detector")
    options = parser.parse_args()
    record: dict[str, Any] = {
        "camera": {"width": SIZE[0], "height": SIZE[1], "frames_per_second": RATE, "faces": FACES},
        "seconds": options.seconds,
        "load_average_before": round(os.getloadavg()[0], 2),
    }
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.y4m")
        write_camera(clip)
        for detector in available_detectors():
            record[detector] = measure(clip, detector, options.seconds)
    record |= {"cores": available_cores(), "cpu": processor_name()}
    write_record(record, options.out)


if __name__ == "__main__":
    main()
