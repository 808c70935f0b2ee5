"""Measure the page that recognizes on the device, beside the Python package on the same machine.

One face and one image of 640 x 480 pixels with one face are timed in Python and in a headless Chromium, each with one
thread; a camera of 640 x 480 with one and with two threads; the memory over many frames; and the time from opening the
page, without a cache, to its first result. The faces are drawn. Requires Playwright, a Chromium and `make browser`.

    python -m lab.benchmarks.browser --out results/browser.json
    python -m lab.benchmarks.browser --out results/browser.json --parts camera    # only this part anew
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, sync_playwright

from lab import ROOT
from lab.benchmarks.command import describe_runtime, make_parser, write_record
from lab.golden import draw, draw_background
from mien.core.hardware import available_cores
from mien.inference.recognizer import Recognizer
from mien.inference.video.face_stream import FaceStream, StreamSettings

DIST = ROOT / "browser" / "dist"
MODEL = "default-int8"
SIZE, SIDE = (640, 480), 200
RATE, CLIP_SECONDS = 30, 4
ROUNDS, WARM_UP, TURNS = 300, 100, 5
PARTS = ("cold_start", "speed", "camera", "memory")
STARTS = 5
SAMPLES = 25  # of the memory
CAMERA_START = 2  # seconds of the camera that are not counted
FILES = {"onnxruntime": "/ort/", "models": "/models/", "page": ""}
GPU = "asyncify", "webgpu"  # onnxruntime-web's files that only browsers with WebGPU fetch

# Load the networks with so many threads.
LOAD = """async (threads) => {
  const at = (path) => new URL(path, document.querySelector("script[type=module]").src);
  const { Recognizer } = await import(at("engine.js"));
  globalThis.recognizer?.close();
  globalThis.recognizer = await Recognizer.load({ threads, backend: "wasm", model: at("models/MODEL.onnx"),
    detector: at("models/mien.onnx"), runtime: at("ort/"), worker: at("mien-web.worker.js") });
  return recognizer.threads;
}"""
# Process an image so many times, one face per image or not; what the worker took each time, in milliseconds.
PROCESS = """async ([content, rounds, detector, detectEvery]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes]));
  const stream = recognizer.stream({ detector, detectEvery });
  const times = [];
  for (let round = 0; round < rounds; round += 1) {
    const { worker_ms, faces } = await stream.process(image, round / 30);
    if (faces.length !== 1 && round > 5) throw new Error(`${faces.length} faces`);
    times.push(worker_ms);
  }
  stream.close();
  image.close();
  return times;
}"""
# Watch the camera for so many seconds.
WATCH = """async (seconds) => {
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480, frameRate: 30 } });
  await video.play();
  const stream = recognizer.stream();
  let [start, frames, busy, withFace] = [0, 0, 0, 0];
  for await (const { worker_ms, faces } of stream.watch(video)) {
    const now = performance.now();
    if (start === 0) { start = now + 1000 * CAMERA_START; }
    if (now < start) continue;
    frames += 1;
    busy += worker_ms;
    withFace += faces.length === 1;
    if (now - start > 1000 * seconds) break;
  }
  const span = performance.now() - start;
  for (const track of video.srcObject.getTracks()) track.stop();
  const shares = { worker_busy: busy / span, with_one_face: withFace / frames };
  return { frames_per_second: 1000 * frames / span, worker_ms: busy / frames, ...shares };
}"""


def draw_image(x: int = 220) -> NDArray[np.uint8]:
    """Return an image with one drawn face."""
    image = draw_background(SIZE, 5)
    image[140 : 140 + SIDE, x : x + SIDE] = draw(14, SIDE, (0.9, 0.75, 0.65))
    return image


def encode(image: NDArray[np.uint8]) -> bytes:
    """Return an image as a PNG file."""
    return bytes(cv2.imencode(".png", image[..., ::-1])[1])


def write_camera(path: Path) -> None:
    """Write a clip in which the face moves from side to side, as Chromium uses it for a camera."""
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for index in range(CLIP_SECONDS * RATE):
            x = 220 + round(120 * np.sin(2 * np.pi * index / (CLIP_SECONDS * RATE)))
            file.write(b"FRAME\n" + cv2.cvtColor(draw_image(x), cv2.COLOR_RGB2YUV_I420).tobytes())


def time_python(image: NDArray[np.uint8], model: str, detector: str, rounds: int) -> list[float]:
    """Return the times of one image in Python, in milliseconds; the detector runs on each."""
    faces, times = FaceStream(Recognizer(model, detector), StreamSettings(detect_every=1)), []
    for index in range(rounds + 20):
        start = time.perf_counter()
        faces.process(image, index / 30)
        times.append(1000 * (time.perf_counter() - start))
    return times[20:]


def compare(page: Page, rounds: int) -> dict[str, Any]:
    """Time one face, and an image with one face, in both; alternately, so that both meet the same machine."""
    face, image = draw(14, SIDE, (0.9, 0.75, 0.65)), draw_image()
    page.evaluate(LOAD.replace("MODEL", MODEL), 1)
    record: dict[str, Any] = {}
    for name, pixels, detector in (("one_face", face, "none"), ("image", image, "mien")):
        content = base64.b64encode(encode(pixels)).decode()
        page.evaluate(PROCESS, [content, WARM_UP, detector, 1])
        times: dict[str, list[float]] = {"browser": [], "python": [], "python_float32": []}
        for _ in range(TURNS):
            times["browser"] += page.evaluate(PROCESS, [content, rounds // TURNS, detector, 1])
            times["python"] += time_python(pixels, MODEL, detector, rounds // TURNS)
            times["python_float32"] += time_python(pixels, "default", detector, rounds // TURNS)
        record[name] = {f"{key}_ms": round(statistics.median(values), 3) for key, values in times.items()}
        record[name] |= {f"{key}_fastest_ms": round(min(values), 3) for key, values in times.items()}
        for key in ("python", "python_float32"):
            record[name][f"times_{key}"] = round(statistics.median(times["browser"]) / statistics.median(times[key]), 2)
    return record


def watch(browser: Browser, page: Page, seconds: float) -> dict[str, Any]:
    """Measure the camera with one thread and with two.

    Processor time per frame is that of the page's process, with its worker, and that of the whole browser; unlike the
    frames per second, it hardly depends on what else the machine does.
    """
    record = {}
    for threads in (1, 2):
        used = page.evaluate(LOAD.replace("MODEL", MODEL), threads)
        before = processor_times(browser)
        readings = page.evaluate(WATCH.replace("CAMERA_START", str(CAMERA_START)), seconds)
        after = processor_times(browser)
        frames = readings["frames_per_second"] * (seconds + CAMERA_START)
        for name, kinds in (("page", ["renderer"]), ("browser", list(after))):
            spent = sum(after.get(kind, 0) - before.get(kind, 0) for kind in kinds)
            readings[f"{name}_processor_ms"] = 1000 * spent / frames
        record[f"threads_{used}"] = {key: round(value, 3) for key, value in readings.items()}
    return record


def processor_times(browser: Browser) -> dict[str, float]:
    """Return the processor time that the browser's processes have used, in seconds, by their kind."""
    times: dict[str, float] = {}
    for process in browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]:
        times[process["type"]] = times.get(process["type"], 0) + process["cpuTime"]
    return times


def memory(browser: Browser, page: Page, frames: int) -> dict[str, Any]:
    """Return the memory of the page's process at 25 moments of so many frames, in MiB."""
    page.evaluate(LOAD.replace("MODEL", MODEL), 2)
    image = base64.b64encode(encode(draw_image())).decode()
    processes = browser.new_browser_cdp_session()
    readings = []
    for _ in range(SAMPLES):
        page.evaluate(PROCESS, [image, frames // SAMPLES, "mien", 3])
        pids = [
            one["id"] for one in processes.send("SystemInfo.getProcessInfo")["processInfo"] if one["type"] == "renderer"
        ]
        readings.append(round(max(map(resident, pids)) / 2**20, 1))
    return {"frames": frames, "mib": readings}


def resident(pid: int) -> int:
    """Return the memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def start_cold(browser: Browser, address: str) -> dict[str, Any]:
    """Return the seconds from opening the page, with an empty cache, to the first result."""
    file = {"name": "face.png", "mimeType": "image/png", "buffer": encode(draw_image())}
    times = []
    for _ in range(STARTS):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        start = time.perf_counter()
        page.goto(address, wait_until="domcontentloaded")
        page.set_input_files("#files", [file])
        page.locator("#faces button").first.wait_for()
        times.append(time.perf_counter() - start)
        context.close()
    return {"seconds": [round(value, 2) for value in times], "median": round(statistics.median(times), 2)}


def sizes() -> dict[str, float]:
    """Return the size of the built page's parts, in MB."""
    totals = dict.fromkeys((*FILES, "onnxruntime_webgpu"), 0)
    for file in filter(Path.is_file, DIST.rglob("*")):
        part = next(name for name, start in FILES.items() if start in file.as_posix().removeprefix(DIST.as_posix()))
        is_gpu = part == "onnxruntime" and any(word in file.name for word in GPU)
        totals["onnxruntime_webgpu" if is_gpu else part] += file.stat().st_size
    return {name: round(total / 1e6, 3) for name, total in totals.items()}


@contextmanager
def served() -> Iterator[str]:
    """Serve the page; yields its address."""
    words = [sys.executable, "-m", "mien", "serve", "--on-device", "--port", "0"]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        yield next(word for word in server.stdout.readline().split() if word.startswith("http"))
    finally:
        server.terminate()
        server.wait(30)


def measure(part: str, browser: Browser, address: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one of `PARTS`, with the load of the machine before."""
    load = {"load_average_before": round(os.getloadavg()[0], 2)}
    if part == "cold_start":
        return load | start_cold(browser, address)
    context = browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.locator("#open-card:enabled").wait_for(timeout=60_000)
    if part == "speed":
        found = compare(page, ROUNDS)
    elif part == "camera":
        found = {"width": SIZE[0], "height": SIZE[1], "frames_per_second": RATE} | watch(browser, page, options.seconds)
    else:
        found = memory(browser, page, options.frames)
    context.close()
    return load | found


def main() -> None:
    """Measure, print, and write the record; parts that are not asked for keep what the file says."""
    parser = make_parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure [default: all]")
    parser.add_argument("--seconds", type=float, default=20, help="seconds of the camera, for each number of threads")
    parser.add_argument("--frames", type=int, default=5000, help="frames over which memory is watched")
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    record: dict[str, Any] = {}
    if options.out is not None and options.out.exists():
        record = json.loads(options.out.read_text(encoding="utf-8"))
    record |= {"model": MODEL, "megabytes": sizes(), "cores": available_cores()} | describe_runtime()
    with tempfile.TemporaryDirectory() as folder, served() as address, sync_playwright() as driver:
        clip = Path(folder, "clip.y4m")
        write_camera(clip)
        flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        flags.append(f"--use-file-for-fake-video-capture={clip}")
        browser = driver.chromium.launch(executable_path=program, args=flags)
        record["browser"] = f"Chromium {browser.version}"
        for part in options.parts:
            record[part] = measure(part, browser, address, options)
            write_record(record, options.out)
        browser.close()


if __name__ == "__main__":
    main()
