from __future__ import annotations

import math
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

import mien
from mien.core.errors import MienError
from mien.core.types import Box, Detection
from mien.inference.recognizer import Recognizer
from mien.inference.results import FrameResult
from mien.inference.video import FaceStream, Frame, StreamSettings, VideoError, open_video, stream
from mien.inference.video.pipeline import run_pipeline

SIZE = (120, 160)


class FixedDetector:
    """A detector that finds one face and counts its calls."""

    name = "fixed"

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        self.calls += 1
        return [Detection(Box(40, 30, 50, 60), 0.95)]


def images(count: int, brightness: float = 200) -> Iterator[NDArray[np.uint8]]:
    texture = np.random.default_rng(0).normal(0, 8, (*SIZE, 3))
    for _ in range(count):
        yield np.clip(brightness + texture, 0, 255).astype(np.uint8)


@pytest.fixture
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, FixedDetector(), use_rejection=False)


def test_every_frame_has_a_result_in_order_with_one_track(recognizer: Recognizer) -> None:
    results = list(mien.stream(images(20), recognizer))
    assert [result.index for result in results] == list(range(20))
    assert np.allclose([result.time for result in results], np.arange(20) / 25)
    faces = [face for result in results for face in result.faces]
    assert len(faces) == 20
    assert {face.track for face in faces} == {1}
    assert {face.label for face in faces} == {"happy"}
    assert sum(faces[3].probabilities.values()) == pytest.approx(1, abs=1e-4)
    assert results[5].shares["happy"] == 1
    assert results[5].pixels is not None
    assert results[5].pixels.shape == (*SIZE, 3)


def test_faces_keep_the_roll_of_their_last_detection(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rolls = iter([20.0, -35.0])
    detector = SimpleNamespace(
        name="turning", detect=lambda _: [Detection(Box(40, 30, 50, 60), 0.95, roll=next(rolls))]
    )
    recognizer = Recognizer(tiny_model, detector, use_rejection=False)
    undone: list[float] = []
    crop = recognizer.crop
    monkeypatch.setattr(recognizer, "crop", lambda pixels, box, roll: (undone.append(roll), crop(pixels, box, roll))[1])
    faces = FaceStream(recognizer, StreamSettings(detect_every=2))
    results = [faces.process(pixels, i / 25) for i, pixels in enumerate(images(4))]
    assert [face.roll for result in results for face in result.faces] == [20, 20, -35, -35] == undone


def test_detection_runs_every_nth_frame(tiny_model: Path) -> None:
    detector = FixedDetector()
    list(stream(images(12), Recognizer(tiny_model, detector), StreamSettings(detect_every=4)))
    assert detector.calls == 3
    slow = FixedDetector()
    list(stream(open_video(images(12), rate=2), Recognizer(tiny_model, slow), StreamSettings(detect_every=4)))
    assert slow.calls == 12  # at 2 frames per second, the frames in between would be too far apart


def test_parallel_threads_give_the_results_of_one_thread(recognizer: Recognizer) -> None:
    parallel = list(stream(images(9), recognizer))
    alone = FaceStream(recognizer)
    sequential = [alone.process(pixels, index / 25) for index, pixels in enumerate(images(9))]
    for left, right in zip(parallel, sequential, strict=True):
        assert left.faces[0].box == right.faces[0].box
        assert left.faces[0].probabilities == pytest.approx(right.faces[0].probabilities, abs=1e-5)


def test_smoothing_acts_on_the_label_but_not_on_raw(recognizer: Recognizer) -> None:
    def flash() -> Iterator[NDArray[np.uint8]]:
        for number, (bright, dark) in enumerate(zip(images(40), images(40, 60), strict=True)):
            yield dark if number == 30 else bright

    off = list(stream(flash(), recognizer, StreamSettings(smoothing="off")))
    smooth = list(stream(flash(), recognizer, StreamSettings(smoothing="on", time_constant=0.5)))
    seen = off[30].faces[0]
    assert (seen.raw_label, seen.label) == ("sad", "sad")
    if smooth[30].faces:  # the tracker may consider a face that changes so much hidden
        assert smooth[30].faces[0].label == "happy"
    assert smooth[30].faces[0].probabilities["happy"] > off[30].faces[0].probabilities["happy"]


def test_boxes_rejected_as_non_faces_are_left_out(tiny_model: Path) -> None:
    flat = [np.full((*SIZE, 3), 200, np.uint8)] * 4
    assert [len(r.faces) for r in stream(flat, Recognizer(tiny_model, FixedDetector()))] == [0, 0, 0, 0]
    kept = Recognizer(tiny_model, FixedDetector(), use_rejection=False)
    assert any(result.faces for result in stream(flat, kept))


def test_whole_images_are_one_track(tiny_model: Path) -> None:
    results = list(stream(images(5), Recognizer(tiny_model, "none")))
    assert [[face.track for face in result.faces] for result in results] == [[1]] * 5


class LiveSource:
    """A camera with 200 frames per second."""

    name, is_live, rate, length, frame_pixels = "live", True, 200.0, None, None
    is_closed = False

    def frames(self) -> Iterator[Frame]:
        start = time.monotonic()
        for index, pixels in enumerate(images(60)):
            time.sleep(0.005)
            yield Frame(index, time.monotonic() - start, pixels)

    def close(self) -> None:
        self.is_closed = True


def test_a_live_source_drops_frames_instead_of_lagging(recognizer: Recognizer) -> None:
    source = LiveSource()
    results: list[FrameResult] = []
    for result in stream(source, recognizer):
        results.append(result)
        time.sleep(0.05)
    indices = [result.index for result in results]
    assert indices == sorted(set(indices))
    assert results[-1].dropped == results[-1].index + 1 - len(results) > 10
    assert source.is_closed


def test_stopping_early_stops_all_threads(recognizer: Recognizer) -> None:
    before = threading.active_count()
    endless = stream(images(10**9), recognizer)
    for _ in range(5):
        next(endless)
    endless.close()
    assert threading.active_count() == before


def test_an_error_comes_after_the_results_before_it(recognizer: Recognizer) -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield from images(7)
        raise VideoError("broken lens")

    before = threading.active_count()
    results = stream(broken(), recognizer)
    assert [next(results).index for _ in range(7)] == list(range(7))
    with pytest.raises(VideoError, match="lens"):
        next(results)
    assert threading.active_count() == before


def test_an_error_in_a_stage_stops_the_others() -> None:
    def fail(items: list[int]) -> Iterator[int]:
        for item in items:
            if item == 5:
                raise ValueError("five")
            yield item

    closed = threading.Event()

    def numbers() -> Generator[int, None, None]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    results = run_pipeline(numbers(), [(fail, 1), (list, 4)], 2)
    assert [next(results) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(results)
    assert closed.is_set()


def test_queues_are_bounded() -> None:
    made = 0

    def count() -> Generator[int, None, None]:
        nonlocal made
        while True:
            made += 1
            yield made

    results = run_pipeline(count(), [(list, 1), (list, 3)], 2)
    for _ in range(10):
        next(results)
    time.sleep(0.1)
    assert made < 30
    results.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"detect_every": 0}, "detect_every is 0"),
        ({"time_constant": -1}, "time_constant"),
        ({"smoothing": "adaptiv"}, "Did you mean 'adaptive'"),
    ],
)
def test_invalid_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(MienError, match=message):
        StreamSettings(**settings)  # type: ignore[arg-type]


def test_an_invalid_time_is_an_error(recognizer: Recognizer) -> None:
    with pytest.raises(MienError, match="finite number of seconds; got nan"):
        FaceStream(recognizer).process(np.zeros((*SIZE, 3), np.uint8), math.nan)
