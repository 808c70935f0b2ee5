from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from written_video import grey_frames

from mien.core.expressions import COLOURS
from mien.core.types import Box, TrackedFace
from mien.inference.results import FrameResult
from mien.inference.video import summary as summary_module
from mien.inference.video.decoding import EncodedVideo
from mien.inference.video.drawing import Line, Rectangle
from mien.inference.video.frames import VideoError
from mien.inference.video.recording import LineFile, VideoRecorder
from mien.inference.video.summary import VideoSummary
from mien.inference.video.timeline import WIDTH, draw_timeline
from mien.inference.video.timeline_page import timeline_page

LABELS = ("happy", "sad", "neutral")


def result(index: int, labels: dict[int, str], time: float | None = None) -> FrameResult:
    faces = []
    for track, label in labels.items():
        probabilities = {name: float(name == label) for name in LABELS}
        faces.append(TrackedFace(Box(0, 0, 9, 9), 0.9, label, probabilities, track, dict(probabilities)))
    return FrameResult(index, index / 10 if time is None else time, 20, 10, faces, LABELS)


def summed_up(results: Iterable[FrameResult]) -> VideoSummary:
    summary = VideoSummary(LABELS)
    for one in results:
        summary.add(one)
    summary.finish()
    return summary


def test_a_recording_keeps_times_and_becomes_an_ordinary_file(tmp_path: Path) -> None:
    recorder = VideoRecorder(tmp_path / "a.mp4")
    times = [0, 0.04, 0.5, 0.51, 2.0]
    for pixels, time in zip(grey_frames(5, 49, 65), times, strict=True):
        recorder.write(pixels, time)
    recorder.close()
    with contextlib.closing(EncodedVideo(tmp_path / "a.mp4")) as video:
        frames = list(video.frames())
    assert np.allclose([frame.time for frame in frames], times, atol=1e-3)
    assert video.length == 5
    assert frames[0].pixels.shape == (48, 64, 3)


def test_a_recorder_without_frames_leaves_no_file(tmp_path: Path) -> None:
    VideoRecorder(tmp_path / "a.mp4").close()
    assert list(tmp_path.iterdir()) == []


WRITE_ON = """
import os, resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from written_video import grey_frames
from mien.inference.video.recording import LineFile, VideoRecorder
from mien.inference.video.frames import VideoError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
if int(sys.argv[3]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
folder = Path(sys.argv[1])
recorder, lines = VideoRecorder(folder / "a.mp4"), LineFile(folder / "a.csv")
frames = grey_frames(8, 240, 320)
def write_video(i):
    recorder.write(frames[i % 8], i / 25)
def write_line(i):
    lines.write("x" * 99 + "\\n")
for write, count in ((write_video, 160), (write_line, 12000)):
    try:
        for index in range(count):
            write(index)
    except VideoError as error:
        print(error)
if int(sys.argv[3]):
    recorder.close()
sys.stdout.flush()
os._exit(0)  # as if killed
"""


@pytest.mark.parametrize("limit", [1_000_000, 0])
def test_earlier_results_survive_a_full_disk_or_a_crash(tmp_path: Path, limit: int) -> None:
    support = str(Path(__file__).parents[2] / "support")
    done = subprocess.run(
        [sys.executable, "-c", WRITE_ON, str(tmp_path), support, str(limit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    errors = done.stdout.splitlines()
    assert len(errors) == (2 if limit else 0)
    assert all("cannot be written (File too large)" in error for error in errors)
    frames = 0
    with contextlib.closing(EncodedVideo(tmp_path / "a.mp4")) as video, contextlib.suppress(VideoError):
        for frame in video.frames():  # the last fragment may be cut off
            frames = frame.index
    assert frames > (20 if limit else 90)
    lines = (tmp_path / "a.csv").read_bytes()
    assert lines.endswith(b"x\n")
    assert set(map(len, lines.splitlines())) == {99}


def test_a_line_file_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("precious")
    with pytest.raises(VideoError, match="cannot be written"):
        LineFile(tmp_path / "a.csv")


def test_shares_of_people_and_time() -> None:
    summary = summed_up(result(i, {1: "happy", 2: "sad" if i < 60 else "neutral"}) for i in range(100))
    content = json.loads(json.dumps(summary.to_json()))
    assert content["seconds"] == pytest.approx(10)
    assert content["people"] == 2
    assert content["share_of_people"] == {"happy": 0.5, "sad": 0.5, "neutral": 0, "unsure": 0}
    assert content["share_of_time"] == pytest.approx({"happy": 0.5, "sad": 0.3, "neutral": 0.2, "unsure": 0})
    assert [track["label"] for track in content["tracks"]] == ["happy", "sad"]


def test_a_short_track_is_not_a_person() -> None:
    summary = summed_up(result(i, {1: "happy"} | ({9: "sad"} if i < 3 else {})) for i in range(100))
    assert summary.people == {"happy": 1}


def test_label_changes_are_counted_per_second_of_track_time() -> None:
    assert summed_up([]).flicker == {"raw": 0, "smoothed": 0}
    raw = ["sad", "happy", "sad", "sad", "happy"]
    results = [result(i, {1: "happy" if i == 4 else "sad", 2: "neutral"}, i / 2) for i in range(5)]
    for one, label in zip(results, raw, strict=True):
        one.faces[0].raw.update({name: float(name == label) for name in LABELS})
    assert summed_up(results).flicker == {"raw": 3 / 4, "smoothed": 1 / 4}  # two tracks of two seconds


def test_gaps_between_frames_are_not_counted() -> None:
    summary = summed_up(result(i, {1: "happy"}, time) for i, time in enumerate((0, 1, 500, 501)))
    assert summary.tracks[1].total == pytest.approx(4)


def test_a_summary_has_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary_module, "MAX_TRACKS", 10)
    # a new person every 40 s
    summary = summed_up(result(i, {1 + i // 40: LABELS[i // 40 % 3]}, float(i)) for i in range(4000))
    assert len(summary.tracks) <= 45
    assert all(track.slots.shape == (600, 4) for track in summary.tracks.values())
    assert summary.people.total() == 100
    assert sum(summary.share_of_time().values()) == pytest.approx(1)
    assert summary.share_of_time()["happy"] == pytest.approx(0.34)


def test_a_timeline_is_valid_and_complete() -> None:
    summary = summed_up(result(i, {1: "happy" if i < 50 else "sad", 2: "neutral"}) for i in range(100))
    svg = draw_timeline(summary, 'a<b>&"\x00.mp4').to_svg()
    root = ET.fromstring(svg)  # noqa: S314
    bars = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("height") == "22"]
    assert [bar[0].text for bar in bars] == ["happy", "sad", "neutral"]
    assert float(bars[0].get("width", 0)) == pytest.approx(450, abs=2)
    assert float(bars[2].get("width", 0)) == pytest.approx(900, abs=2)
    assert "a&lt;b&gt;&amp;&quot;?.mp4" in svg


def test_a_timeline_without_faces() -> None:
    assert "No faces detected" in draw_timeline(summed_up([]), "a").to_svg()


def test_probabilities_over_time_are_means_of_time_slots() -> None:
    summary = summed_up(result(i, {1: "happy" if i < 50 else "sad"}) for i in range(100))
    means = summary.tracks[1].mean_probabilities
    seen = means[means.any(axis=1)]
    assert len(seen) * summary.slot == pytest.approx(summary.seconds, abs=summary.slot)
    assert seen[len(seen) // 4].tolist() == pytest.approx([1, 0, 0])
    assert seen[-1].tolist() == pytest.approx([0, 1, 0])
    assert np.allclose(seen.sum(axis=1), 1)


def test_a_timeline_has_a_line_for_each_label_while_a_person_is_seen() -> None:
    summary = summed_up(result(i, {1: "happy"} if i < 20 or i > 60 else {}) for i in range(100))
    lines = [part for part in draw_timeline(summary, "a").shapes if isinstance(part, Line) and part.width == 2]
    assert len(lines) == 2 * len(LABELS)
    happy = [line for line in lines if line.colour == COLOURS["happy"]]
    assert [round((line.points[-1][0] - line.points[0][0]) / WIDTH, 1) for line in happy] == [0.2, 0.4]


def test_a_timeline_as_png_shows_what_the_svg_shows() -> None:
    summary = summed_up(result(i, {1: "happy" if i < 50 else "sad"}) for i in range(100))
    drawing = draw_timeline(summary, "filme/日本.mp4")
    image = np.asarray(Image.open(io.BytesIO(drawing.to_png())))
    assert image.shape == (2 * drawing.height, 2 * drawing.width, 3)
    bars = [part for part in drawing.shapes if isinstance(part, Rectangle) and part.height == 22]
    for bar in bars:
        assert image[round(2 * bar.y) + 6, round(2 * bar.x) + 6].tolist() == list(bar.fill)


def test_a_timeline_page_holds_what_it_shows(tmp_path: Path) -> None:
    summary = summed_up(result(i, {1: "happy", 2: "sad"}) for i in range(20))
    page = timeline_page(summary, "</script><b>", "a b#.mp4")
    assert 'src="a%20b%23.mp4"' in page
    assert "</script><b>" not in page
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["labels"] == list(LABELS)
    assert set(map(tuple, data["people"][1]["slots"].values())) == {(0, 100, 0)}
    assert "<video" not in timeline_page(summary, "a")
