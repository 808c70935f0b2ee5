"""Compare how well trackers keep identities, on clips with known faces, and what a frame costs.

    python -m lab.benchmarks.tracking --casts 2 --data FER2013 --out results/tracking.json

Each scenario (`tests/support/scenarios.py`) is played by several casts of two public-domain portraits or, with
`--data`, of FER2013's faces. All trackers get the same detections, made from the truth with jitter, misses and false
boxes. Identities are scored on the frames with detections, because other trackers return nothing in between. Roboflow's
`trackers` and norfair are compared if they are installed (`docs/tracking.md`); apart from the rate of the detections
and a memory of 3 seconds they keep their defaults.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl
import numpy as np
import skimage.data
from clips import ClipFrame, Look, portrait_looks
from numpy.typing import NDArray
from scenarios import SCENARIOS, Scenario
from track_scores import TrackScores, score_tracks

from lab.benchmarks.command import make_parser, write_record
from mien.core.hardware import processor_name
from mien.core.types import Box, Detection
from mien.data import registry
from mien.inference.video.tracking import Tracker

Numbered = list[tuple[int, Box]]
# (frame, its detections or None between them) -> the boxes with their numbers
Step = Callable[[ClipFrame, list[Detection] | None], Numbered]
PEOPLE = 6


def mien_tracker(scenario: Scenario) -> Step:
    """Return mien's tracker."""
    tracker = Tracker()

    def step(frame: ClipFrame, detections: list[Detection] | None) -> Numbered:
        if detections is None:
            faces = tracker.follow(frame.pixels, frame.time)
        else:
            faces = tracker.update(frame.pixels, detections, frame.time)
        return [(face.track, face.box) for face in faces if face.is_seen]

    return step


def roboflow_tracker(name: str) -> Callable[[Scenario], Step]:
    """Return a function that makes one of Roboflow's trackers, with a memory of 3 seconds."""
    import supervision
    import trackers

    def make(scenario: Scenario) -> Step:
        rate = scenario.clip.fps / scenario.every
        tracker: Any = getattr(trackers, name)(frame_rate=rate, lost_track_buffer=90)

        def step(frame: ClipFrame, detections: list[Detection] | None) -> Numbered:
            if detections is None:
                return []
            boxes = np.array([_corners(d.box) for d in detections]).reshape(-1, 4)
            found = supervision.Detections(
                boxes, confidence=np.array([d.score for d in detections]), class_id=np.zeros(len(boxes), int)
            )
            image = frame.pixels if name == "BoTSORTTracker" else None  # the others do not use it
            tracked = tracker.update(found, image, timestamp=frame.time)
            numbers = [] if tracked.tracker_id is None else tracked.tracker_id
            pairs = zip(numbers, tracked.xyxy, strict=False)
            return [(int(n), Box(x, y, right - x, low - y)) for n, (x, y, right, low) in pairs if n >= 0]

        return step

    return make


def norfair_tracker(scenario: Scenario) -> Step:
    """Return norfair's tracker by overlap of boxes, with a memory of 3 seconds."""
    import norfair

    rate = scenario.clip.fps / scenario.every
    remembered = max(round(3 * rate), 2)
    tracker = norfair.Tracker("iou", distance_threshold=0.9, hit_counter_max=remembered, initialization_delay=1)

    def step(frame: ClipFrame, detections: list[Detection] | None) -> Numbered:
        if detections is None:
            return []
        found = [norfair.Detection(np.array(_corners(d.box)).reshape(2, 2)) for d in detections]
        faces = [face for face in tracker.update(found) if face.last_detection in found]
        corners = [(face.id, *face.estimate.ravel()) for face in faces]
        return [(n, Box(x, y, right - x, low - y)) for n, x, y, right, low in corners]

    return step


def known_trackers() -> dict[str, Callable[[Scenario], Step]]:
    """Return the trackers that are installed."""
    found: dict[str, Callable[[Scenario], Step]] = {"mien": mien_tracker}
    if importlib.util.find_spec("trackers"):
        version = importlib.metadata.version("trackers")
        for name in ("SORTTracker", "ByteTrackTracker", "OCSORTTracker", "BoTSORTTracker"):
            found[f"trackers {version} {name.removesuffix('Tracker')}"] = roboflow_tracker(name)
    if importlib.util.find_spec("norfair"):
        found[f"norfair {importlib.metadata.version('norfair')}"] = norfair_tracker
    return found


def casts(looks: Sequence[Look], number: int) -> Iterator[list[Look]]:
    """Yield casts of six people, so that different pairs meet in each."""
    for cast in range(number):
        stride = 1 if cast % 2 else 5
        yield [looks[(cast + stride * i) % len(looks)] for i in range(PEOPLE)]


@dataclasses.dataclass
class Played:
    """A tracker's scores and milliseconds per face, [on frames between detections, on frames with them]."""

    scores: list[TrackScores]
    milliseconds: tuple[list[float], list[float]]


def play(scenario: Scenario, make: Callable[[Scenario], Step]) -> Played:
    """Run a tracker on a scenario."""
    step = make(scenario)
    milliseconds: tuple[list[float], list[float]] = ([], [])
    scored: tuple[list[Any], list[Any]] = ([], [])
    for frame in scenario.clip.frames():
        has_detections = frame.index % scenario.every == 0
        detections = scenario.clip.detections(frame, scenario.faults) if has_detections else None
        start = time.thread_time()  # excludes other work on the machine
        boxes = step(frame, detections)
        milliseconds[has_detections].append(1000 * (time.thread_time() - start) / max(len(frame.faces), 1))
        scored[has_detections].append((frame.faces, boxes))
    return Played([score_tracks(frames) for frames in scored], milliseconds)


def summarize(scores: Sequence[TrackScores], people: int) -> dict[str, float]:
    """Return a scenario's scores over its casts."""
    added = {f.name: sum(getattr(s, f.name) for s in scores) for f in dataclasses.fields(TrackScores)}
    total = TrackScores(**added | {"overlap": float(np.mean([s.overlap for s in scores]))})
    return {
        "switches": total.switches,
        "fragments": total.fragments,
        "numbers_too_many": total.numbers - people * len(scores),
        "idf1": round(total.idf1, 4),
        "mota": round(total.mota, 4),
        "found": round(total.found / max(total.faces, 1), 4),
        "false": round(total.false / max(total.boxes, 1), 4),
        "overlap": round(total.overlap, 4),
    }


def compare(looks: Sequence[Look], number: int, every: int | None = None) -> dict[str, Any]:
    """Run all trackers on all scenarios, print one line per tracker and return the scores.

    Args:
        looks: The people.
        number: How many casts play each scenario.
        every: Run the detector on every n-th frame instead of the scenario's.
    """
    table: dict[str, Any] = {}
    for label, make in known_trackers().items():
        rows, played = {}, list[Played]()
        for name, scene in SCENARIOS.items():
            scenarios = [scene(cast, seed) for seed, cast in enumerate(casts(looks, number))]
            scenarios = [dataclasses.replace(s, every=every or s.every) for s in scenarios]
            results = [play(scenario, make) for scenario in scenarios]
            rows[name] = summarize([p.scores[True] for p in results], len(scenarios[0].clip.actors))
            played += results
        total = summarize([p.scores[True] for p in played], 0)
        total["numbers_too_many"] = sum(row["numbers_too_many"] for row in rows.values())
        table[label] = {"all": total, "scenarios": rows} | _between(played)
        cost = [float(np.mean([c for p in played for c in p.milliseconds[kind]] or [0])) for kind in (True, False)]
        table[label]["milliseconds_a_face"] = {"update": round(cost[0], 3), "follow": round(cost[1], 3)}
        switches = " ".join(f"{row['switches']:2.0f}" for row in rows.values())
        print(
            f"{label:26s} switches {total['switches']:4.0f} ({switches}) fragments {total['fragments']:4.0f} IDF1"
            f" {total['idf1']:.3f} MOTA {total['mota']:.3f} {cost[0]:.2f} + {cost[1]:.2f} ms per face",
            flush=True,
        )
    return table


def _between(played: Sequence[Played]) -> dict[str, Any]:
    """Return the scores on the frames between detections, if the tracker returns boxes there."""
    scores = [p.scores[False] for p in played if p.scores[False].boxes]
    kept = summarize(scores, 0) if scores else {}
    return {"between_detections": {key: kept[key] for key in ("found", "false", "overlap")}} if scores else {}


def fer_looks(images: NDArray[np.uint8], number: int) -> list[Look]:
    """Return grey faces (n, 48, 48), drawn at random, as looks."""
    chosen = np.random.default_rng(0).choice(len(images), number, replace=False)
    return [Look(np.repeat(images[i][:, :, None], 3, axis=2)) for i in chosen]


def main() -> None:
    """Compare the trackers on portraits and, with --data, on FER2013's faces."""
    parser = make_parser(__doc__)
    parser.add_argument("--data", type=Path, help="FER2013's file or folder: also use its faces")
    parser.add_argument("--casts", type=int, default=6, help="how many casts play each scenario")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    hopper = Path(mpl.get_data_path(), "sample_data", "grace_hopper.jpg")
    people = {"portraits": portrait_looks(np.asarray(skimage.data.astronaut()), hopper)}
    if options.data:
        people["fer2013"] = fer_looks(registry.load("fer2013", options.data).split("train").images, 60)
    record: dict[str, Any] = {
        "threads": 1,
        "processor": processor_name(),
        "opencv": cv2.__version__,
        "casts": options.casts,
    }
    for name, looks in people.items():
        print(f"{name}: {', '.join(SCENARIOS)}")
        record[name] = compare(looks, options.casts)
        print(f"{name}, the detector on every frame")
        record[f"{name}_every_frame"] = compare(looks, options.casts, every=1)
    write_record(record, options.out)


def _corners(box: Box) -> list[float]:
    return [box.x, box.y, box.x + box.width, box.y + box.height]


if __name__ == "__main__":
    main()
