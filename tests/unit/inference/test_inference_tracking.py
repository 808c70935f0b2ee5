from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import Actor, Clip, ClipFrame, Faults, Look, line, portrait_looks, present
from numpy.typing import NDArray
from scenarios import SCENARIOS, Scenario, approach, occlusion, pan
from track_scores import TrackScores, overlap, score_tracks

from mien.core.types import Box, Detection
from mien.inference.video.track import TrackedDetection
from mien.inference.video.tracking import MAX_HIDDEN, Tracker

SEED = 1


@pytest.fixture(scope="module")
def looks(astronaut: NDArray[np.uint8], hopper: Path) -> list[Look]:
    return portrait_looks(astronaut, hopper)


@pytest.fixture(scope="module")
def still(looks: list[Look]) -> ClipFrame:
    """A frame with two faces, for tests of single steps."""
    actors = [Actor(line((x, 90), (0, 0), 80), [(0, look)]) for x, look in zip((80, 240), looks, strict=False)]
    return next(iter(Clip(actors, size=(320, 180)).frames()))


@pytest.fixture
def faces(still: ClipFrame) -> list[Detection]:
    return [Detection(face.box, 0.95) for face in still.faces]


def play(scenario: Scenario, tracker: Tracker | None = None) -> list[tuple[ClipFrame, list[TrackedDetection]]]:
    tracker, rows = tracker or Tracker(), []
    for frame in scenario.clip.frames():
        if frame.index % scenario.every == 0:
            detections = scenario.clip.detections(frame, scenario.faults)
            rows.append((frame, tracker.update(frame.pixels, detections, frame.time)))
        else:
            rows.append((frame, tracker.follow(frame.pixels, frame.time)))
    return rows


def score(rows: Sequence[tuple[ClipFrame, list[TrackedDetection]]]) -> TrackScores:
    return score_tracks(
        [(frame.faces, [(face.track, face.box) for face in found if face.is_seen]) for frame, found in rows]
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_everybody_keeps_the_same_tracker_id(name: str, looks: list[Look]) -> None:
    scenario = SCENARIOS[name](looks, SEED)
    found = score(play(scenario))
    assert found.switches == 0
    assert found.numbers == len(scenario.clip.actors)
    assert found.idf1 > 0.96
    assert found.mota > 0.92


@pytest.mark.parametrize("make", [approach, pan])
def test_boxes_follow_between_detections(make: Any, looks: list[Look]) -> None:
    rows = play(make(looks, SEED))
    followed = score([row for row in rows if row[0].index % 5])
    assert followed.found == followed.faces
    assert followed.overlap > 0.9
    if make is pan:  # where boxes that stay would be wrong
        held = score([(frame, rows[frame.index - frame.index % 5][1]) for frame, _ in rows if frame.index % 5])
        assert held.overlap < 0.85


def test_the_box_of_a_hidden_face_is_predicted_and_not_seen(looks: list[Look]) -> None:
    rows = play(occlusion(looks, SEED))
    walker = 1
    tracker_id = rows[0][1][1].track
    predictions = 0
    for frame, found in rows:
        truth = frame.faces[walker]
        mine = [face for face in found if face.track == tracker_id]
        if truth.visible > 0.95:
            assert mine[0].is_seen
        if truth.visible < 0.05:
            assert all(not face.is_seen for face in mine)
            predictions += len(mine)
            assert all(math.dist(face.box.centre, truth.box.centre) < truth.box.width for face in mine)
    assert 15 < predictions < 31  # for up to a second of 30 frames


def test_faces_that_leave_are_forgotten_and_ids_are_not_reused(looks: list[Look]) -> None:
    path = line((160, 90), (0, 0), 80)
    actors = [Actor(present(path, 0, 0.5), [(0, looks[0])]), Actor(present(path, 4.5), [(0, looks[0])])]
    tracker = Tracker()
    rows = play(Scenario(Clip(actors, seconds=5.2, fps=10, size=(320, 180)), every=2), tracker)
    assert [face.track for face in rows[0][1]] == [1]
    assert rows[17][1] == []
    assert [face.track for face in rows[-1][1]] == [2]
    assert tracker.active == {2}


def test_an_unsure_detection_gets_an_id_when_it_is_detected_again(still: ClipFrame, faces: list[Detection]) -> None:
    unsure, false = Detection(faces[0].box, 0.72), Detection(Box(140, 20, 40, 50), 0.72)
    tracker = Tracker()
    assert tracker.update(still.pixels, [unsure, false], 0.0) == []
    assert tracker.follow(still.pixels, 0.1) == []
    again = tracker.update(still.pixels, [unsure], 0.2)
    assert [(face.track, face.score) for face in again] == [(1, 0.72)]
    assert [face.track for face in tracker.update(still.pixels, faces, 0.4)] == [1, 2]  # the false box got none


def test_two_boxes_on_one_face_are_one_person(still: ClipFrame, faces: list[Detection]) -> None:
    box, tracker = faces[0].box, Tracker()
    tracker.update(still.pixels, faces[:1], 0.0)
    double = Detection(Box(box.x + 6, box.y - 5, box.width, box.height), 0.9)
    for step in range(1, 6):
        found = tracker.update(still.pixels, [faces[0], double], step / 10)
        assert [face.track for face in found] == [1]


def test_a_face_that_the_detector_misses_stays_seen_for_a_moment_only(still: ClipFrame, faces: list[Detection]) -> None:
    tracker = Tracker()
    tracker.update(still.pixels, faces, 0.0)
    (first, second) = tracker.update(still.pixels, faces[:1], 0.1)
    assert (first.is_seen, second.is_seen) == (True, True)
    (first, second) = tracker.update(still.pixels, faces[:1], 0.5)
    assert (first.is_seen, second.is_seen) == (True, False)


def test_boxes_shake_less_than_detections(looks: list[Look]) -> None:
    clip = Clip([Actor(line((160, 90), (0, 0), 80), [(0, looks[0])])], fps=15, size=(320, 180))
    faults = Faults(jitter=0.04)
    given = [clip.detections(frame, faults)[0].box for frame in clip.frames()]
    smooth = [found[0].box for _, found in play(Scenario(clip, faults, every=1))]
    for side in ("x", "width"):
        assert np.std([getattr(b, side) for b in smooth]) < 0.75 * np.std([getattr(b, side) for b in given])


@pytest.mark.parametrize(
    ("box", "is_valid"),
    [
        (Box(math.nan, 0, 10, 10), False),
        (Box(0, 0, math.inf, 10), False),
        (Box(0, -math.inf, 10, 10), False),
        (Box(5, 5, 0, 10), False),
        (Box(5, 5, 10, -3), False),
        (Box(0, 0, 1e9, 1e9), False),
        (Box(5000, 5000, 40, 40), True),
        (Box(0, 0, 0.01, 0.01), True),
        (Box(-900, -900, 2000, 2000), True),
    ],
)
def test_invalid_boxes_are_ignored_and_extreme_ones_do_no_harm(
    box: Box, is_valid: bool, still: ClipFrame, faces: list[Detection]
) -> None:
    tracker = Tracker()
    for time in (0.0, 0.2, 0.4):
        tracks = [face.track for face in tracker.update(still.pixels, [*faces, Detection(box, 0.99)], time)]
        assert {1, 2} <= set(tracks) if is_valid else tracks == [1, 2]
        tracker.follow(still.pixels, time + 0.1)


def test_no_time_passes_while_it_runs_backwards(still: ClipFrame, faces: list[Detection]) -> None:
    tracker = Tracker()
    tracker.update(still.pixels, faces, 1000.0)
    assert [face.track for face in tracker.follow(still.pixels, 3.0)] == [1, 2]
    assert [face.track for face in tracker.update(still.pixels, faces, 3.0)] == [1, 2]
    tracker.update(np.zeros_like(still.pixels), [], 3.5)
    tracker.update(np.zeros_like(still.pixels), [], 9.0)
    assert tracker.active == set()


def test_a_frame_of_another_size_is_the_same_view(still: ClipFrame, faces: list[Detection]) -> None:
    tracker = Tracker()
    tracker.update(still.pixels, faces, 0.0)
    large = np.repeat(np.repeat(still.pixels, 2, axis=0), 2, axis=1)
    found = tracker.follow(large, 0.1)
    assert [face.track for face in found] == [1, 2]
    for face, before in zip(found, faces, strict=True):
        assert face.is_seen
        assert overlap(face.box, before.box.scaled(2)) > 0.85
    tracker.update(large, [Detection(face.box.scaled(2), 0.95) for face in faces], 0.2)
    assert tracker.active == {1, 2}


def test_memory_is_bounded() -> None:
    rng, tracker = np.random.default_rng(0), Tracker()
    for step in range(12):
        noise = rng.integers(0, 255, (120, 160, 3), dtype=np.uint8)
        places = rng.uniform(0, 100, (40, 2))
        tracker.update(noise, [Detection(Box(float(x), float(y), 30, 30), 0.99) for x, y in places], step / 5)
    assert len(tracker._tracks) <= MAX_HIDDEN + 2 * 40
