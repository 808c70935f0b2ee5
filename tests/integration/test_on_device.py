"""The page that recognizes on the device, in a real browser, beside the Python package."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import fake_camera
import numpy as np
import onnx
import pytest
from browser import CAMERA, PATIENCE, jpeg, launch, needs_chromium, opened, upload, wait_for_text, wait_until
from built_page import DIST, ServedPage, needs_page, serving
from images import HEIC, encoded, png_header
from PIL import Image
from tiny_model import tiny_network

from mien.inference.recognizer import Recognizer

pytest.importorskip("playwright.sync_api", reason="needs Playwright")
pytestmark = [needs_page, needs_chromium]
APP = next(DIST.glob("app-*"), DIST)  # its name changes with its content
MODEL = next((file for file in sorted((APP / "models").glob("*.onnx")) if file.name != "mien.onnx"), DIST)
ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "browser" / "golden"
RECOGNIZE = """async ([content, name, type]) => {
  const { Engine } = await import("./APP/engine.js");
  globalThis.engine ??= new Engine();
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const file = new File([bytes], name, { type });
  return engine.recognizeImage(file, { model: null, detector: null }, { signal: new AbortController().signal });
}"""


@pytest.fixture(scope="module")
def served() -> Iterator[ServedPage]:
    with serving() as page:
        yield page


@pytest.fixture
def page(browser: Any, served: ServedPage) -> Iterator[Any]:
    """The page, ready; a test fails on any error in the browser's console."""
    yield from opened(browser, served.address)


def start_camera(page: Any) -> None:
    page.click("#camera")
    page.locator("#faces button").nth(1).wait_for()


def make_images(astronaut: np.ndarray, hopper: Path) -> dict[str, bytes]:
    """Return files of many kinds by name."""
    portrait, smaller = Image.fromarray(astronaut), Image.fromarray(astronaut[:300, 50:400])
    images = {"scene.png": (GOLDEN / "scene.png").read_bytes(), "hopper.jpg": hopper.read_bytes()}
    images |= {"astronaut.png": encoded(portrait), "grey.png": encoded(portrait.convert("L"))}
    images |= {"palette.png": encoded(smaller.quantize(255)), "lossless.webp": encoded(smaller, "WEBP", lossless=True)}
    images |= {"colours.bmp": encoded(smaller, "BMP"), "two faces.png": encoded(two_faces(astronaut, hopper))}
    clear = smaller.convert("RGBA")
    clear.putalpha(Image.fromarray(np.uint8(255 * (np.indices((300, 350))[1] > 20))))
    images["transparent.png"] = encoded(clear)
    for turn in (3, 6, 8):
        exif = Image.Exif()
        exif[0x0112] = turn
        back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[turn]
        images[f"turned {turn}.jpg"] = encoded(portrait.transpose(back), "JPEG", exif=exif, quality=95)
    return images


def two_faces(astronaut: np.ndarray, hopper: Path) -> Image.Image:
    with Image.open(hopper) as image:
        other = np.asarray(image.convert("RGB").resize((300, 352)))[20:320]
    return Image.fromarray(np.hstack([astronaut[:300, 70:370], other]))


def test_results_are_those_of_python(page: Any, astronaut: np.ndarray, hopper: Path) -> None:
    recognizer = Recognizer(MODEL)
    for name, content in make_images(astronaut, hopper).items():
        theirs = json.loads(json.dumps(recognizer.recognize(content, source=name).to_json()))
        ours = page.evaluate(RECOGNIZE.replace("APP", APP.name), [base64.b64encode(content).decode(), name, ""])
        assert ours.keys() == theirs.keys()
        assert {**ours, "faces": 0} == {**theirs, "faces": 0}, name
        assert len(ours["faces"]) == len(theirs["faces"]) > 0, name
        for one, other in zip(ours["faces"], theirs["faces"], strict=True):
            assert one.keys() == other.keys()
            assert (one["label"], one["unsure"]) == (other["label"], other["unsure"]), name
            for side in ("x", "y", "width", "height"):
                assert one[side] == pytest.approx(other[side], abs=2), (name, side)
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=0.01), name


def test_the_camera_is_followed_and_no_request_is_made(chromium: Any, portraits: Any, tmp_path: Path) -> None:
    clip, log = tmp_path / "clip.y4m", tmp_path / "net.json"
    fake_camera.write_clip(clip, *portraits)
    running = launch(chromium, *CAMERA, f"--use-file-for-fake-video-capture={clip}", f"--log-net-log={log}")
    with serving() as served:
        for page in opened(running, served.address):
            use_everything(page, served, portraits[0])
        running.close()
    # the browser's own log, without what the browser itself asks its maker for
    asked = [event["params"] for event in json.loads(log.read_text(encoding="utf-8"))["events"] if "params" in event]
    from_page = [one["url"] for one in asked if "url" in one and "127.0.0.1" in one.get("initiator", "")]
    assert from_page
    assert all(url.startswith((served.address, f"blob:{served.address}")) for url in from_page)


def use_everything(page: Any, served: ServedPage, portrait: np.ndarray) -> None:
    """Recognize an image and the camera, and check that nothing is asked for."""
    page.evaluate("navigator.serviceWorker.ready")
    before = list(served.asked)
    requests: list[str] = []
    page.context.on("request", lambda request: requests.append(request.url))
    page.set_input_files("#files", [upload("one.png", encoded(Image.fromarray(portrait)), "image/png")])
    wait_for_text(page, "#faces button", "happy")
    start_camera(page)
    wait_for_text(page, "#shares-text", "2 faces")
    wait_for_text(page, "#faces button", "happy")
    wait_until(page, lambda: page.inner_text("#busy").strip("\u00a0%").isdigit())
    wait_until(page, lambda: page.inner_text("#rate").isdigit() and int(page.inner_text("#rate")) > 0)
    assert [url for url in requests if not url.startswith("blob:")] == []
    assert served.asked == before


def test_it_works_without_a_network_after_the_first_visit(browser: Any, portraits: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    with serving() as served:
        page.goto(served.address)
        page.evaluate("navigator.serviceWorker.ready")
        page.locator("#open-card:enabled").wait_for()
        served.asked.clear()
        page.reload()
        page.locator("#open-card:enabled").wait_for()
        # a newer page, or another server at this address, is noticed; its files are kept
        assert set(served.asked) <= {"/", "/service-worker.js", "/manifest.webmanifest"}
        assert "/" in served.asked
    context.set_offline(True)
    page.reload()
    page.locator("#open-card:enabled").wait_for()
    page.set_input_files("#files", [upload("one.jpg", jpeg(portraits[0]), "image/jpeg")])
    wait_for_text(page, "#faces button", "happy")
    start_camera(page)
    context.close()


def test_a_video_is_recognized_while_it_plays(page: Any, portraits: Any, tmp_path: Path) -> None:
    path = tmp_path / "clip.webm"
    size = (fake_camera.WIDTH, fake_camera.HEIGHT)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), fake_camera.RATE, size)
    if not writer.isOpened():
        pytest.skip("OpenCV writes no WebM here")
    for index in range(20):
        writer.write(fake_camera.make_frame(*portraits, index / fake_camera.RATE)[..., ::-1])
    writer.release()
    page.set_input_files("#files", path)
    wait_for_text(page, "#status", "clip.webm: ")
    wait_for_text(page, "#status", " frames.")
    wait_for_text(page, "#faces button", "happy")
    assert page.locator("#annotate").is_hidden()


def test_files_that_cannot_be_used_cost_one_sentence_each(page: Any, astronaut: np.ndarray) -> None:
    good = jpeg(astronaut)
    bad = {
        "text.jpg": (b"not an image", "text.jpg: text.jpg is not an image; expected an image"),
        "huge.png": (png_header(10_000, 10_001), "100 million pixels, more than 25 million"),
        "cut.png": (encoded(Image.fromarray(astronaut))[:200], "is a PNG image that is damaged or truncated"),
        "phone.heic": (HEIC, "is a HEIC image that this browser cannot read"),
        "empty.png": (b"", "is empty"),
        "paper.png": (b"%PDF-1.7", "is a PDF document"),
    }
    files = [upload(name, content, "image/png") for name, (content, _) in bad.items()]
    page.set_input_files("#files", [*files, upload("good.jpg", good, "image/jpeg")])
    wait_for_text(page, "#status", "Done: good.jpg, 1 face.")
    for line, (_, expected) in zip(page.inner_text("#problem").splitlines(), bad.values(), strict=True):
        assert expected in line
    page.set_input_files("#files", [upload("clip.mp4", b"not a video", "video/mp4")])
    wait_for_text(page, "#problem", "This browser cannot play the video")
    page.set_input_files("#files", [upload("good.jpg", good, "image/jpeg")])
    wait_for_text(page, "#faces button", "happy")
    assert page.locator("#problem").is_hidden()


def test_models_of_ones_own_are_loaded_from_a_file(page: Any, tiny_model: Path, astronaut: np.ndarray) -> None:
    buffer = io.BytesIO()
    onnx.save(tiny_network(), buffer)
    page.set_input_files("#files", [upload("bare.onnx", buffer.getvalue(), "")])
    wait_for_text(page, "#problem", "bare.onnx has no mien model card")
    page.set_input_files("#files", [upload("broken.onnx", b"\x08\x07nothing", "")])
    wait_for_text(page, "#problem", "broken.onnx is not an ONNX file")
    page.set_input_files("#files", tiny_model)
    wait_for_text(page, "#status", "The model tiny is loaded")
    assert page.locator("select[name=model]").input_value() == "tiny"
    page.select_option("select[name=model]", index=0)
    page.set_input_files("#files", [upload("one.jpg", jpeg(astronaut), "image/jpeg")])
    wait_for_text(page, "#faces button", "happy")


def test_a_browser_without_simd_is_told(browser: Any, served: ServedPage) -> None:
    worker = (APP / "mien-web.worker.js").read_text(encoding="utf-8")
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.route("**/mien-web.worker.js", lambda route: route.fulfill(
        body=f"WebAssembly.validate = () => false;{worker}", content_type="text/javascript",
        headers={"Cross-Origin-Embedder-Policy": "require-corp"}))  # fmt: skip
    page.goto(served.address)
    wait_for_text(page, "#problem", "This browser has no WebAssembly with SIMD")
    page.set_input_files("#files", [upload("one.png", png_header(9, 9), "image/png")])
    wait_for_text(page, "#problem", "one.png: This browser has no WebAssembly with SIMD")
    assert page.locator("#camera").is_enabled()
    context.close()


def test_one_thread_is_used_without_isolation(browser: Any, served: ServedPage, astronaut: np.ndarray) -> None:
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)

    def without_isolation(route: Any) -> None:
        answer = route.fetch()
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("cross-origin")}
        route.fulfill(response=answer, headers=kept)

    page.route("**/*", without_isolation)
    page.goto(served.address)
    page.locator("#open-card:enabled").wait_for()
    assert page.evaluate("crossOriginIsolated") is False
    page.set_input_files("#files", [upload("one.jpg", jpeg(astronaut), "image/jpeg")])
    wait_for_text(page, "#faces button", "happy")
    context.close()


def test_the_lines_of_the_documentation_work_on_any_server(browser: Any, tmp_path: Path) -> None:
    lines = re.search(r"```html\n(.*?)```", (ROOT / "docs" / "browser.md").read_text(encoding="utf-8"), re.DOTALL)
    assert lines
    (tmp_path / "index.html").write_text(f"<!doctype html>{lines[1]}", encoding="utf-8")
    package, assets = ROOT / "browser", ROOT / "src" / "mien" / "assets"
    for file in (*(package / "build").glob("*.js"), assets / "default-int8.onnx", assets / "detectors" / "mien.onnx"):
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "ort").symlink_to(package / "node_modules" / "onnxruntime-web" / "dist")
    handler = partial(QuietHandler, directory=str(tmp_path))
    context = browser.new_context()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        page = context.new_page()
        try:
            with page.expect_console_message(lambda message: "happy" in message.text, timeout=PATIENCE):
                page.goto(f"http://127.0.0.1:{server.server_port}/")
        finally:
            context.close()
            server.shutdown()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_hidden_tabs_and_unplugged_cameras_are_reported(page: Any) -> None:
    start_camera(page)
    hide = "Object.defineProperty(document, 'hidden', {value: HIDDEN, configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide.replace("HIDDEN", "true"))
    wait_for_text(page, "#status", "Paused while this tab is hidden")
    page.evaluate(hide.replace("HIDDEN", "false"))
    wait_for_text(page, "#status", "The camera is on")
    page.evaluate("document.querySelector('#video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    wait_for_text(page, "#problem", "unplugged")
    assert page.inner_text("#camera") == "Start camera"


def test_a_refused_camera_is_reported(chromium: Any, served: ServedPage) -> None:
    running = launch(chromium, "--use-fake-device-for-media-stream")
    for page in opened(running, served.address):
        page.click("#camera")
        wait_for_text(page, "#problem", "denied access")
        assert page.inner_text("#camera") == "Start camera"
    running.close()


def test_the_page_is_usable_at_400_pixels_and_every_control_has_a_name(browser: Any, served: ServedPage) -> None:
    context = browser.new_context(viewport={"width": 400, "height": 800}, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(served.address)
    page.locator("#open-card:enabled").wait_for()
    assert page.locator(".promise").is_visible()
    assert page.locator(".on-server").locator("visible=true").count() == 0
    start_camera(page)
    page.locator("#busy-row").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    name = "(one) => one.ariaLabel || one.labels?.[0]?.innerText || one.innerText"
    controls = page.locator("button:visible, select:visible, input:visible")
    unnamed = controls.evaluate_all(f"all => all.filter((one) => !({name})(one)).map((one) => one.id)")
    assert unnamed == []
    context.close()
