"""Videos as bodies: one line per frame, and a clear end whatever happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from PIL import Image
from running_server import RunningServer, open_files, running, tiny_settings, wait_until
from written_video import write_video

from mien.apps.web.settings import ServerLimits
from mien.inference.video.face_stream import FaceStream

FRAMES = 10


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[RunningServer]:
    limits = ServerLimits(video_frames=8, video_bytes=2**20, frame_pixels=400_000)
    with running(tiny_settings(tiny_model, limits=limits)) as started:
        yield started


@pytest.fixture(scope="module")
def make_clip(hopper: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    image = np.asarray(Image.open(hopper).convert("RGB"))

    def make(frames: int, scale: float = 0.5) -> bytes:
        small = cv2.resize(image, None, fx=scale, fy=scale)
        path = tmp_path_factory.mktemp("clip") / "clip.avi"
        return write_video(path, [small] * frames, codec="mpeg4").read_bytes()

    return make


def ask(server: RunningServer, data: bytes, **words: str) -> tuple[int, list[dict[str, object]]]:
    response = httpx.post(f"{server.address}/v1/recognize/video", params=words, content=data, timeout=30)
    return response.status_code, [json.loads(line) for line in response.text.splitlines()]


def test_each_frame_is_a_line(server: RunningServer, make_clip) -> None:
    status, lines = ask(server, make_clip(8), smoothing="off", detect_every="1")
    assert status == 200
    assert [line["type"] for line in lines] == ["frame"] * 8 + ["end"]
    assert lines[-1] == {"type": "end", "frames": 8, "is_complete": True}
    assert [line["time"] for line in lines[:3]] == pytest.approx([0, 0.04, 0.08], abs=0.01)
    assert {line["faces"][0]["track"] for line in lines[5:8]} == {1}  # by then the tracker is sure that it is a face


def test_a_form_does_too(server: RunningServer, make_clip) -> None:
    clip = make_clip(3)
    with httpx.Client(base_url=server.address, timeout=30) as client:
        response = client.post("/v1/recognize/video", files={"video": ("clip.avi", clip, "video/x-msvideo")})
    assert len(response.text.splitlines()) == 4


def test_long_videos_end_at_the_limit(server: RunningServer, make_clip) -> None:
    lines = ask(server, make_clip(FRAMES))[1]
    assert len(lines) == 9
    assert lines[-1] == {"type": "end", "frames": 8, "is_complete": False}


def test_an_unreadable_video_has_a_status(server: RunningServer, make_clip) -> None:
    playlist = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    for data in (b"", b"not a video", playlist, make_clip(2)[:400], make_clip(1, scale=2)):
        status, (problem,) = ask(server, data)
        assert (status, problem["type"]) == (422, "urn:mien:problem:unreadable-video")
    assert ask(server, b"x" * (2**20 + 1))[0] == 413
    assert server.engine.videos.taken == 0


def test_a_video_that_breaks_says_so_in_its_last_line(server: RunningServer, make_clip) -> None:
    clip = make_clip(6)
    status, lines = ask(server, clip[: len(clip) * 2 // 3])
    assert status == 200
    assert lines[0]["type"] == "frame"
    assert (lines[-1]["type"], lines[-1]["problem"]["status"]) == ("error", 422)


def test_a_bug_in_the_middle_is_the_last_line(
    server: RunningServer, make_clip, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([FaceStream.process])

    def process(*arguments):
        return next(left)(*arguments)  # the second frame finds none left

    monkeypatch.setattr(FaceStream, "process", process)
    status, lines = ask(server, make_clip(3))
    assert status == 200
    assert [line["type"] for line in lines] == ["frame", "error"]
    assert lines[-1]["problem"]["status"] == 500


def test_a_client_that_leaves_frees_the_place(server: RunningServer, make_clip) -> None:
    before = open_files()
    clip = make_clip(8)
    with httpx.stream("POST", f"{server.address}/v1/recognize/video", content=clip, timeout=30) as response:
        next(response.iter_lines())
        busy = httpx.post(f"{server.address}/v1/recognize/video", content=clip, timeout=30)
    wait_until(lambda: not server.engine.videos.taken and open_files() <= before)
    assert busy.status_code in (200, 429)  # 200 if the eight frames were done before the second request
