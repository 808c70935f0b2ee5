"""`mien recognize` on videos: what it prints and saves, and what happens on errors."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from written_video import grey_frames, write_sound, write_video

from mien.inference.video.decoding import EncodedVideo


@pytest.fixture
def clip(tmp_path, astronaut):
    """36 frames of a portrait that moves to the right."""
    frames = []
    for index in range(36):
        frame = np.full((256, 384, 3), 90, np.uint8)
        frame[:, 10 + index : 266 + index] = astronaut[:512:2, ::2]
        frames.append(frame)
    return write_video(tmp_path / "clip.mp4", frames)


def count_frames(path):
    with contextlib.closing(EncodedVideo(path)) as video:
        return len(list(video.frames()))


@pytest.fixture
def recognize(mien, tiny_model, monkeypatch):
    monkeypatch.delenv("MIEN_YUNET", raising=False)
    return lambda *words: mien("recognize", "--model", tiny_model, "--detector", "haar", "--keep-all", *words)


def test_all_results_are_saved(recognize, clip, tmp_path):
    out = tmp_path / "out"
    code, printed, messages = recognize(clip, "--format", "csv", "--save", out)
    assert code == 0, messages
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert (out / "clip.csv").read_text() == printed
    assert len(rows) > 25
    assert {row["track"] for row in rows} == {"1"}
    assert [int(row["frame"]) for row in rows] == sorted({int(row["frame"]) for row in rows})
    assert float(rows[-1]["time"]) == pytest.approx(35 / 25)
    assert float(rows[-1]["x"]) > float(rows[0]["x"]) + 15
    assert float(rows[0]["confidence"]) == float(rows[0][rows[0]["label"]])
    summary = json.loads((out / "clip-summary.json").read_text())
    assert (summary["frames"], summary["dropped"], summary["people"]) == (36, 0, 1)
    assert sum(summary["share_of_time"].values()) == pytest.approx(1, abs=1e-3)
    assert "#1" in (out / "clip-timeline.svg").read_text()
    assert count_frames(out / "clip.mp4") == 36
    assert "36 frames" in messages


def test_nothing_is_overwritten(recognize, clip, tmp_path):
    before = clip.read_bytes()
    for _ in range(2):
        assert recognize(clip, "--save", tmp_path, "--no-video")[0] == 0
    assert clip.read_bytes() == before
    names = {path.name for path in tmp_path.glob("clip*")}
    assert {"clip-2.csv", "clip-2-summary.json", "clip-3.csv", "clip-3-timeline.svg"} <= names
    assert "clip-2.mp4" not in names


def test_json_lines_and_the_table(recognize, clip):
    lines = [json.loads(line) for line in recognize(clip, "--format", "json", "--smoothing", "off")[1].splitlines()]
    assert [line["frame"] for line in lines] == list(range(36))
    face = lines[30]["faces"][0]
    assert face["probabilities"] == face["raw"]
    assert face["seen"] is True
    code, printed, _ = recognize(clip)
    assert code == 0
    assert "36 frames, 1.4 s, 1 person. Expressions: unsure 100 % (1 of 1)" in printed
    assert "Label changes per second" in printed


def test_a_truncated_video_gives_its_results_and_an_error(recognize, tmp_path, clip):
    with_start = write_video(tmp_path / "b.mp4", grey_frames(60), options={"movflags": "faststart"})
    with_start.write_bytes(with_start.read_bytes()[: with_start.stat().st_size // 2])
    code, printed, messages = recognize(with_start, clip, "--format", "json", "--save", tmp_path / "out")
    assert code == 1
    errors = [line for line in messages.splitlines() if line.startswith("error")]
    assert len(errors) == 1
    assert "cut off" in errors[0]
    sources = {json.loads(line)["source"] for line in printed.splitlines()}
    assert sources == {str(with_start), str(clip)}
    saved = (tmp_path / "out" / "b.jsonl").read_text().splitlines()
    assert count_frames(tmp_path / "out" / "b.mp4") == len(saved) > 10


def test_bad_input_gives_one_line(recognize, tmp_path):
    code, printed, error = recognize(write_sound(tmp_path / "sound.m4a"), "--format", "json")
    assert (code, printed) == (1, "")
    assert error.startswith("error: ")
    assert "only audio" in error
    assert len(error.splitlines()) == 1


def test_images_and_videos_cannot_be_mixed(recognize, clip, hopper):
    code, _, error = recognize(clip, hopper)
    assert code == 1
    assert "two commands" in error


def test_an_interrupted_run_leaves_complete_files(tiny_model, tmp_path):
    long = write_video(tmp_path / "long.mp4", grey_frames(1500, 240, 320))
    out = tmp_path / "out"
    words = ["recognize", long, "--model", tiny_model, "--detector", "haar", "--format", "json", "--save", out]
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    )
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 130
    assert b"Traceback" not in messages
    lines = [json.loads(line) for line in (out / "long.jsonl").read_text().splitlines()]
    assert 5 <= len(lines) < 1500
    assert count_frames(out / "long.mp4") == len(lines)
    assert json.loads((out / "long-summary.json").read_text())["frames"] == len(lines)
