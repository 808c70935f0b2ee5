"""The web page in a real browser, with a camera that plays two portraits."""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import cv2
import fake_camera
import numpy as np
import onnx
import pytest
from browser import (
    PATIENCE,
    jpeg,
    launch,
    needs_chromium,
    opened,
    percentages,
    upload,
    wait_for_text,
    wait_until,
)
from onnx import helper
from running_server import RunningServer, running
from tiny_model import tiny_card, tiny_network

from mien.apps.web.settings import ServerSettings
from mien.core.card import METADATA_KEY

pytest.importorskip("playwright.sync_api", reason="needs Playwright")
STATIC = Path(str(resources.files("mien.apps.web") / "static"))

# The middle of the moving portrait's face, from the portrait's left edge, as a share of the width.
FACE = (225 - 70) / 300 * fake_camera.PORTRAIT / fake_camera.WIDTH
# Where the moving portrait begins in the video, and the box in the overlay, as shares of the width.
LOOK = """() => {
  const video = document.querySelector("#video"), overlay = document.querySelector("#overlay");
  const pen = new OffscreenCanvas(video.videoWidth, video.videoHeight).getContext("2d");
  pen.drawImage(video, 0, 0);
  const half = video.videoWidth / 2;
  const row = pen.getImageData(0, TOP, half, 1).data;
  let edge = 0;
  const apart = (at) => Math.hypot(row[4 * at] - RED, row[4 * at + 1] - GREEN, row[4 * at + 2] - BLUE);
  while (edge < half && apart(edge) < 40) edge++;
  const [width, height] = [overlay.width, overlay.height];
  const left = Math.round(width / 2);
  const ink = overlay.getContext("2d").getImageData(0, 0, left, height).data;
  const columns = [];
  for (let x = 0; x < left; x++) {
    let count = 0;
    for (let y = 0; y < height; y++) count += ink[4 * (y * width + x) + 3] > 200;
    if (count > height / 12) columns.push(x);
  }
  return {edge: edge / video.videoWidth, box: columns.length ? (columns[0] + columns.at(-1)) / 2 / width : 0};
}"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> ServerSettings:
    """The default model, and one whose probabilities are all about 1/7, so that every face is unsure."""
    network = tiny_network()
    card = replace(tiny_card(reject_threshold=0.999, temperature=20.0), name="never sure")
    helper.set_model_props(network, {METADATA_KEY: card.to_json()})
    path = tmp_path_factory.mktemp("unsure") / "unsure.onnx"
    onnx.save(network, path)
    return ServerSettings(models=("default", str(path)), detectors=("haar",))


@pytest.fixture(scope="module")
def server(settings: ServerSettings) -> Iterator[RunningServer]:
    with running(settings) as started:
        yield started


@pytest.fixture
def page(browser: Any, server: RunningServer) -> Iterator[Any]:
    """The page, ready; a test fails on any error in the browser's console."""
    yield from opened(browser, server.address)


def start_camera(page: Any) -> None:
    page.click("#camera")
    page.locator("#faces button").nth(1).wait_for()


@needs_chromium
def test_boxes_follow_the_camera(page: Any) -> None:
    start_camera(page)
    page.uncheck("#mirror")
    red, green, blue = fake_camera.BACKGROUND
    words = {"TOP": fake_camera.TOP + 5, "RED": red, "GREEN": green, "BLUE": blue}
    look = re.sub("TOP|RED|GREEN|BLUE", lambda match: str(words[match.group()]), LOOK)

    def is_around_the_face(side: int) -> bool:
        seen = page.evaluate(look)
        is_there = abs(seen["edge"] - (fake_camera.MIDDLE + side * fake_camera.SWING) / fake_camera.WIDTH) < 0.01
        return is_there and abs(seen["box"] - seen["edge"] - FACE) < 0.03

    for side in (-1, 1, -1):
        wait_until(page, lambda side=side: is_around_the_face(side), 60)  # boxes are late on a busy machine


@needs_chromium
def test_the_camera_shows_labels_shares_and_delay(page: Any) -> None:
    start_camera(page)
    wait_for_text(page, "#faces button", "happy")
    wait_for_text(page, "#shares-text", "2 faces")
    assert percentages(page, "#shares")["happy"] in (50, 100)
    assert sum(percentages(page, "#shares").values()) == 100
    assert sum(percentages(page, "#bars").values()) == 100
    wait_for_text(page, "#timeline-text", "happy")
    wait_until(page, lambda: page.inner_text("#rate").isdigit() and int(page.inner_text("#rate")) > 0)
    assert re.fullmatch(r"\d+ ms", page.inner_text("#delay"))
    page.click("#camera")
    assert page.inner_text("#camera") == "Start camera"
    assert page.locator("#empty").is_visible()


@needs_chromium
def test_unsure_faces_are_marked_and_the_model_changes_while_the_camera_runs(page: Any) -> None:
    start_camera(page)
    page.locator("input[value=off]").check()
    page.select_option("select[name=model]", index=1)
    wait_for_text(page, "#faces button >> nth=0", "unsure")
    wait_for_text(page, "#selected-text", "unsure")
    wait_until(page, lambda: percentages(page, "#shares")["unsure"] == 100)
    assert page.locator("#shares .top-row").all_inner_texts()[0].startswith("unsure")
    page.select_option("select[name=model]", index=0)
    wait_for_text(page, "#faces button", "happy")
    assert page.locator("#problem").is_hidden()


@needs_chromium
def test_images_are_recognized_and_in_the_csv(page: Any, portraits: tuple[np.ndarray, np.ndarray]) -> None:
    files = [
        upload("=one.jpg", jpeg(portraits[0]), "image/jpeg"),
        upload("broken.jpg", jpeg(portraits[0])[:500], "image/jpeg"),
        upload("two.jpg", jpeg(portraits[1]), "image/jpeg"),
        upload("notes.txt", b"nothing", "text/plain"),
    ]
    page.set_input_files("#files", files)
    wait_for_text(page, "#problem", "notes.txt: not an image")
    wait_for_text(page, "#problem", "broken.jpg:")
    wait_for_text(page, "#shares-text", "2 faces in 2 images")
    assert sum(percentages(page, "#shares").values()) == 100
    page.click("#strip button >> nth=1")
    assert page.get_attribute("#image", "alt") == "two.jpg"
    page.locator("#download").wait_for()
    with page.expect_download() as download:
        page.click("#download")
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == ["'=one.jpg", "two.jpg"], "a file's name must not become a formula"
    assert rows[0]["label"] == "happy"
    assert rows[0]["model"] == "default"
    for row in rows:
        labels = list(row)[list(row).index("detector") + 1 :]
        assert sum(float(row[label]) for label in labels) == pytest.approx(1, abs=1e-4)
        assert float(row["confidence"]) == pytest.approx(max(float(row[label]) for label in labels))
    page.click("#clear")
    page.locator("#session-panel").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.id") == "choose"


@needs_chromium
def test_negative_numbers_stay_numbers_in_the_csv(page: Any) -> None:
    made = page.evaluate(
        """async () => {
          const { Session } = await import(new URL("static/session.js", document.baseURI));
          const session = new Session();
          const face = { number: 1, box: [-3, 0, 9, 9], roll: -1.5, score: 1, label: "-ha", confidence: 1 };
          const faces = [{ ...face, isUnsure: false, probabilities: { "-ha": 1 } }];
          session.add({ source: "-1+1.jpg", seconds: null, width: 9, height: 9, faces }, { model: "m", detector: "d" });
          return session.toCsv();
        }"""
    )
    (row,) = csv.DictReader(made.splitlines())
    assert (row["x"], row["roll"]) == ("-3.0", "-1.5")
    assert (row["source"], row["label"]) == ("'-1+1.jpg", "'-ha")


@needs_chromium
def test_a_video_plays_with_its_boxes(page: Any, portraits: tuple[np.ndarray, np.ndarray], tmp_path: Path) -> None:
    path = tmp_path / "clip.webm"
    size = (fake_camera.WIDTH, fake_camera.HEIGHT)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), fake_camera.RATE, size)
    if not writer.isOpened():
        pytest.skip("OpenCV writes no WebM here")
    for index in range(25):
        writer.write(fake_camera.make_frame(*portraits, index / fake_camera.RATE)[..., ::-1])
    writer.release()
    page.set_input_files("#files", path)
    wait_for_text(page, "#status", "25 frames")
    wait_for_text(page, "#faces button", "happy")
    wait_until(page, lambda: page.evaluate("document.querySelector('#video').ended"))
    assert page.evaluate("document.querySelector('#video').videoWidth") == fake_camera.WIDTH
    assert sum(percentages(page, "#shares").values()) == 100
    wait_for_text(page, "#session-text", "25 frames")


@needs_chromium
def test_a_file_that_is_not_a_video_is_reported(page: Any) -> None:
    page.set_input_files("#files", [upload("clip.mp4", b"not a video", "video/mp4")])
    wait_for_text(page, "#problem", "clip.mp4:")
    assert page.locator("#empty").is_visible()


@needs_chromium
def test_a_busy_server_is_asked_again(page: Any, portraits: tuple[np.ndarray, np.ndarray]) -> None:
    requests = []

    def respond(route: Any) -> None:
        requests.append(route.request.url)
        if len(requests) > 1:
            route.continue_()
            return
        route.fulfill(
            status=429, headers={"Retry-After": "1"}, json={"title": "Busy", "detail": "Full.", "status": 429}
        )

    page.route("**/v1/recognize?*", respond)
    page.set_input_files("#files", [upload("one.jpg", jpeg(portraits[0]), "image/jpeg")])
    wait_for_text(page, "#status", "busy")
    wait_for_text(page, "#faces button", "happy")
    assert len(requests) == 2


@needs_chromium
def test_everything_works_with_the_keyboard(page: Any) -> None:
    page.focus("#camera")
    page.keyboard.press("Enter")
    page.locator("#faces button").nth(1).wait_for()
    page.locator("#download").wait_for()  # it appears a moment after the faces
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    reached: list[str] = []
    for _ in range(25):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(
            """() => {
              const it = document.activeElement;
              const shown = it.type === "radio" ? it.nextElementSibling : it;
              return [it.id || it.name || it.parentElement?.id || "", getComputedStyle(shown).outlineStyle];
            }"""
        )
        if reached and name == reached[0]:
            break
        if name:
            assert outline != "none", f"{name} has no visible focus"
            reached.append(name)
    wanted = {"open-card", "faces", "camera", "choose", "mirror", "timeline-what", "smoothing", "model"}
    assert wanted | {"download", "clear"} <= set(reached)
    page.focus("#open-card")
    page.keyboard.press("Enter")
    wait_for_text(page, "#card-body", "accuracy")
    page.keyboard.press("Escape")
    assert page.locator("#card").is_hidden()
    assert page.evaluate("document.activeElement.id") == "open-card"


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_usable_at_400_pixels(browser: Any, server: RunningServer, scheme: str) -> None:
    context = browser.new_context(viewport={"width": 400, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(server.address)
    page.locator("#open-card:enabled").wait_for(timeout=PATIENCE)
    start_camera(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    narrow = page.locator("button:visible, select:visible").evaluate_all(
        "all => all.filter((one) => one.getBoundingClientRect().height < 38).map((one) => one.id)"
    )
    assert narrow == []
    context.close()


@needs_chromium
def test_an_unplugged_camera_is_reported(page: Any) -> None:
    start_camera(page)
    page.evaluate("document.querySelector('#video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    wait_for_text(page, "#problem", "unplugged")
    assert page.inner_text("#camera") == "Start camera"


@needs_chromium
@pytest.mark.parametrize(
    ("flags", "problem"), [((), "No camera was found"), (("--use-fake-device-for-media-stream",), "denied access")]
)
def test_without_a_camera_or_permission_the_page_says_what_to_do(
    chromium: Any, server: RunningServer, flags: tuple[str, ...], problem: str
) -> None:
    browser = launch(chromium, *flags)
    for page in opened(browser, server.address):
        page.click("#camera")
        wait_for_text(page, "#problem", problem)
        assert page.inner_text("#camera") == "Start camera"
    browser.close()


@needs_chromium
def test_a_lost_server_is_found_again(browser: Any, settings: ServerSettings) -> None:
    with contextlib.ExitStack() as first:
        server = first.enter_context(running(settings))
        for page in opened(browser, server.address, known="WebSocket connection"):
            start_camera(page)
            first.close()
            wait_for_text(page, "#problem", "connection to the server is lost")
            with running(settings, server.port):
                page.locator("#problem").wait_for(state="hidden")
                wait_for_text(page, "#faces button", "happy")


@needs_chromium
def test_a_server_with_a_key_asks_for_it(browser: Any, settings: ServerSettings) -> None:
    key = "a key of forty letters, only for this test"
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    with running(replace(settings, key=key)) as guarded:
        page.goto(guarded.address)
        page.fill("#key", "another key than the right one")
        page.keyboard.press("Enter")
        wait_for_text(page, "#key-note", "Wrong key")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.locator("#open-card:enabled").wait_for()
        start_camera(page)
        wait_for_text(page, "#faces button", "happy")
        context.close()


@pytest.mark.parametrize("name", ["index.html", "docs.html"])
def test_the_html_has_nothing_that_the_policy_forbids(name: str) -> None:
    html = (STATIC / name).read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", html)
    for file in STATIC.iterdir():
        text = file.read_text(encoding="utf-8")
        assert not re.findall(r"""(?:src|href|from|import|url)\W{1,3}https?:""", text), file.name
    for link in re.findall(r'(?:src|href)="(static/[^#"]+)"', html):
        assert (STATIC.parent / link).is_file(), link
    for id_ in re.findall(r'(?:aria-labelledby|for)="([^"]+)"', html):
        assert f'id="{id_}"' in html


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(scheme: str) -> None:
    css = (STATIC / "page.css").read_text(encoding="utf-8")
    light, dark = css.split("@media (prefers-color-scheme: dark)")[:2]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#\w{6});", dark.split("}")[0]))
    pairs = [(ink, paper) for ink in ("ink", "soft", "accent") for paper in ("paper", "panel", "wash")]
    pairs += [("on-accent", "accent"), ("warn", "warn-wash"), ("on-stage", "stage")]
    for ink, paper in pairs:
        assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
    for paper in ("paper", "panel"):
        assert contrast(colours["edge"], colours[paper]) >= 3, ("edge", paper)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours (WCAG 2.2, "contrast ratio")."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
