from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from written_video import grey_frames, write_sound, write_video

from mien.core.errors import ImageError, MissingExtraError
from mien.inference.video import Frame, VideoError, open_video
from mien.inference.video.decoding import EncodedVideo


def read(path: Path | str) -> list[Frame]:
    video = open_video(path)
    try:
        return list(video.frames())
    finally:
        video.close()


def read_until_error(path: Path) -> tuple[list[Frame], str]:
    video, frames = open_video(path), []
    with pytest.raises(VideoError) as caught:
        frames.extend(video.frames())
    video.close()
    return frames, str(caught.value)


def test_a_file_yields_every_frame_with_its_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(30))
    video = open_video(path)
    assert (video.rate, video.length, video.is_live, video.frame_pixels) == (25, 30, False, 48 * 64)
    video.close()
    frames = read(path)
    assert [frame.index for frame in frames] == list(range(30))
    assert np.allclose([frame.time for frame in frames], np.arange(30) / 25)
    assert all(frame.pixels.shape == (48, 64, 3) and frame.pixels.dtype == np.uint8 for frame in frames)
    assert frames[0].pixels[4:12, 4:12].min() > 220
    assert frames[29].pixels[24:].mean() > frames[0].pixels[24:].mean() + 50


def test_variable_frame_rate(tmp_path: Path) -> None:
    times = np.cumsum([0.5, *[0.04, 0.1, 0.3] * 6])
    for name in ("a.mp4", "a.mkv"):
        frames = read(write_video(tmp_path / name, grey_frames(len(times)), times=times.tolist()))
        assert np.allclose([frame.time for frame in frames], times - 0.5, atol=0.002)


def test_times_of_joined_recordings_continue(tmp_path: Path) -> None:
    part = write_video(tmp_path / "a.ts", grey_frames(40)).read_bytes()
    (tmp_path / "b.ts").write_bytes(part + part)
    times = [frame.time for frame in read(tmp_path / "b.ts")]
    assert len(times) >= 78
    assert np.allclose(np.diff(times), 0.04, atol=0.011)


def test_frames_discarded_by_a_cut_are_not_reported_missing(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", grey_frames(60), options={"g": "60"})
    with av.open(str(whole)) as source, av.open(str(tmp_path / "b.mp4"), "w") as cut:
        stream = cut.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                shift = round(40 / 25 / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = stream
                cut.mux(packet)
    frames = read(tmp_path / "b.mp4")
    assert len(frames) == 20
    assert frames[0].pixels[24:].mean() > read(whole)[0].pixels[24:].mean() + 20


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotated_videos_are_made_upright(tmp_path: Path, rotation: int) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(3), rotation=rotation)
    upright = read(path)[0].pixels
    # OpenCV applies the rotation too
    capture = cv2.VideoCapture(str(path))
    expected = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
    capture.release()
    assert upright.shape == expected.shape
    assert np.abs(upright.astype(int) - expected).mean() < 4


def test_pixels_are_made_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(2), aspect=Fraction(4, 3))
    assert read(path)[0].pixels.shape == (48, 85, 3)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_a_truncated_file_yields_its_frames_and_then_an_error(tmp_path: Path, name: str) -> None:
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    path = write_video(tmp_path / name, grey_frames(60), options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, error = read_until_error(path)
    assert 10 < len(frames) < 50
    assert "cut off" in error
    assert f"{len(frames)} " in error
    assert "\n" not in error


def test_reading_continues_after_damage_in_the_middle(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(60))
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    frames = []
    with contextlib.suppress(VideoError):  # if frames are missing
        for frame in open_video(path).frames():
            frames.append(frame)
    assert frames[-1].time > 2.2
    assert len(frames) > 50


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp4", b"this is text\n" * 40, "not a video"),
        ("empty.mp4", b"", "not a video"),
        ("list.mp4", b"ffconcat version 1.0\nfile a.mkv\n", "list.mp4"),
        ("play.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n", "play.mp4"),
        ("null.mp4", bytes(1000), "not a video"),
    ],
)
def test_files_that_are_not_videos(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    for other in ("a.mkv", "a.ts"):  # exist, but must not be opened through a playlist
        write_video(tmp_path / other, grey_frames(2))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=message) as caught:
        read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_sound_only_folders_and_missing_files(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="only audio"):
        open_video(write_sound(tmp_path / "a.m4a"))
    with pytest.raises(VideoError, match="cannot be opened"):
        open_video(tmp_path)
    with pytest.raises(VideoError, match="No such file"):
        open_video("concat:a.mp4|b.mp4")


def test_a_codec_that_cannot_be_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", grey_frames(3), codec="mpeg4")
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"QQQQ"))
    with pytest.raises(VideoError, match="cannot decode"):
        open_video(path)


def test_large_frames_are_rejected_before_decoding(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", grey_frames(2))
    with pytest.raises(VideoError, match="frames of 3,072 pixels; the limit is 3,000"):
        EncodedVideo(path, 3000)


def test_errors_contain_no_passwords() -> None:
    with pytest.raises(VideoError) as caught:
        open_video("rtsp://me:secret@127.0.0.1:1/stream")
    assert "secret" not in str(caught.value)
    assert "rtsp://127.0.0.1:1/stream" in str(caught.value)


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[video\]"):
        EncodedVideo(tmp_path / "a.mp4")


def test_arrays() -> None:
    video = open_video([np.zeros((4, 6), np.uint8), np.zeros((4, 6, 3), np.uint8)], rate=10)
    frames = list(video.frames())
    assert [(f.index, f.time, f.pixels.shape) for f in frames] == [(0, 0, (4, 6, 3)), (1, 0.1, (4, 6, 3))]
    assert video.length == 2
    assert open_video(iter([])).length is None
    with pytest.raises(VideoError, match="frame rate is 0"):
        open_video([], rate=0)
    with pytest.raises(ImageError):
        list(open_video([np.zeros(3)]).frames())


class FakeCapture:
    """A camera that is unplugged after three frames."""

    left = 3

    def __init__(self, number: int) -> None:
        self.number = number

    def isOpened(self) -> bool:  # noqa: N802
        return self.number == 0

    def get(self, _: int) -> float:
        return 30.0

    def read(self) -> tuple[bool, NDArray[Any] | None]:
        self.left -= 1
        return (True, np.full((4, 4, 3), (255, 0, 0), np.uint8)) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.left = 0


def test_a_camera_that_is_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    camera = open_video("camera:0")
    assert camera.is_live
    assert camera.rate == 30
    frames = []
    with pytest.raises(VideoError, match="stopped after 3 frames"):
        frames.extend(camera.frames())
    assert len(frames) == 3
    assert frames[0].pixels[0, 0].tolist() == [0, 0, 255]  # BGR to RGB
    assert frames[0].time <= frames[1].time <= frames[2].time
    camera.close()


@pytest.mark.parametrize(
    ("source", "message"), [("camera:7", "cannot be opened"), ("camera:front", "expected a number")]
)
def test_absent_cameras(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], source: str, message: str
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    with pytest.raises(VideoError, match=message):
        open_video(source)
    assert capfd.readouterr().err == ""
