"""The video benchmark: what is measured, and in which order."""

from __future__ import annotations

import pytest

from lab.benchmarks import video_speed


def test_a_stream_alone_gives_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIEN_YUNET", raising=False)
    record = video_speed.measure_video("default", seconds=0, minutes=0.02, threads=1)
    assert "speeds" not in record
    assert record["soak"]["frames"] == 30
    assert 0 < record["soak"]["after_one_minute_mib"] <= record["soak"]["highest_mib"]


def test_the_stream_comes_before_other_networks_leave_memory_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(video_speed, "_soak", fail)
    monkeypatch.setattr(video_speed, "reference_onnx", lambda _: pytest.fail("loaded before the stream"))
    with pytest.raises(InterruptedError):
        video_speed.measure_video("default", seconds=1, minutes=1, threads=1)
