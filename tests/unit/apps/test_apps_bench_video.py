"""`mien bench video`: what is measured, and in which order."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mien.apps import bench_video
from mien.core.errors import MienError
from mien.evaluation import video_speed

pytest.importorskip("av", reason="needs the video extra")


def test_a_stream_alone_gives_its_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MIEN_YUNET", raising=False)
    bench_video.video("default", seconds=0, minutes=0.02, threads=1, as_json=False, out=tmp_path / "soak.json")
    record = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))
    assert "speeds" not in record
    soak = record["soak"]
    assert soak["frames"] == 30
    assert 0 < soak["after_one_minute_mib"] <= soak["highest_mib"]
    assert "(30 frames)" in capsys.readouterr().out


def test_the_stream_comes_before_other_networks_leave_memory_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []

    def note(name: str) -> None:
        order.append(name)
        raise MienError(name)

    monkeypatch.setattr(video_speed, "_soak", lambda *_: note("stream"))
    monkeypatch.setattr(video_speed, "_measure_speeds", lambda *_: note("speeds"))
    with pytest.raises(MienError):
        video_speed.measure_video("default", 1, 1, 1)
    assert order == ["stream"]


def test_nothing_to_measure_is_said() -> None:
    with pytest.raises(MienError, match="--seconds or --minutes"):
        bench_video.video("default", seconds=0, minutes=0, threads=1, as_json=False, out=None)
