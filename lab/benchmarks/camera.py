"""How late the boxes of a camera are: a headless Chromium plays a clip as its camera to a server on this machine.

The clip has 640 x 480 pixels, 25 frames a second and three drawn faces. The page itself tells the delay, from when a
frame was captured to when its boxes are drawn, and how many frames a second it gets answers to; both are read again
and again for some seconds. Browser and server share the processor. Needs Playwright and a Chromium.

    python -m lab.benchmarks.camera --yunet YUNET.onnx --out results/camera.json
"""

from __future__ import annotations

import argparse
import json
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

from lab.benchmarks.drawn_clip import FACES, RATE, draw_frames
from mien.core.hardware import available_cores, processor_name
from mien.inference.detectors.registry import create_detector

SIZE = (640, 480)
CLIP_SECONDS = 8
WARM_UP = 5
BETWEEN = 0.5  # seconds between two readings; each is the median of the page's last two seconds


def write_camera(path: Path, detector: str) -> None:
    """Write the clip as YUV4MPEG2, which Chromium takes for a camera and repeats."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in draw_frames(create_detector(detector), SIZE, CLIP_SECONDS * RATE):
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())


def watch(page: Page, seconds: float) -> dict[str, Any]:
    """Turn the camera on and read what the page tells."""
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


def measure(detector: str, seconds: float) -> dict[str, Any]:
    """Serve, and let a browser watch."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    words = [sys.executable, "-m", "mien", "serve", "--port", "0", "--detector", detector]
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder, "clip.y4m")
        write_camera(clip, detector)
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
                told = watch(page, seconds)
                running.close()
        finally:
            server.terminate()
            server.wait(30)
    return told


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--yunet", type=Path, help="YuNet's .onnx file; without it only the Haar cascade is measured")
    parser.add_argument("--seconds", type=float, default=30, help="of each detector")
    parser.add_argument("--out", type=Path, help="also write the figures to this JSON file")
    options = parser.parse_args()
    record: dict[str, Any] = {
        "camera": {"width": SIZE[0], "height": SIZE[1], "frames_per_second": RATE, "faces": FACES},
        "seconds": options.seconds,
        "load_average_before": round(os.getloadavg()[0], 2),
    }
    for detector in (f"yunet:{options.yunet}", "haar") if options.yunet else ("haar",):
        record[detector.partition(":")[0]] = measure(detector, options.seconds)
    record |= {"cores": available_cores(), "cpu": processor_name()}
    text = json.dumps(record, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
