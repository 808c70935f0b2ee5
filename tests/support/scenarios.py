"""Clips with faces that are hard to track, each with a detector's errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clips import Actor, Clip, Faults, Look, Path, Pose, line, present, sway

# Seconds between cuts.
TURN = 1.1


@dataclass(frozen=True)
class Scenario:
    """A clip, the errors of its detections, and how often the detector runs: `every` n-th frame."""

    clip: Clip
    faults: Faults = field(default_factory=lambda: Faults(jitter=0.02))
    every: int = 5


def occlusion(looks: Sequence[Look], seed: int) -> Scenario:
    """A person walks behind a pillar for a second and reappears; another one stands still."""
    walker = line((60, 120), (100, 0), 90)
    actors = [Actor(line((560, 270), (0, 0), 80), [(0, looks[1])]), Actor(walker, [(0, looks[0])])]
    return Scenario(Clip(actors, seconds=5, occluders=[line((300, 0), (0, 0), 172)], seed=seed))


def passing_pillar(looks: Sequence[Look], seed: int) -> Scenario:
    """A pillar passes in front of two faces that hardly move, and hides each for a second."""
    actors = [
        Actor(sway(line((x, 180), (0, 0), 100), (6, 4), 0.3), [(0, look)])
        for x, look in zip((200, 420), looks, strict=False)
    ]
    return Scenario(Clip(actors, seconds=6, occluders=[line((-120, 0), (150, 0), 230)], seed=seed))


def crossing(looks: Sequence[Look], seed: int) -> Scenario:
    """Two faces cross, one in front of the other."""
    actors = [
        Actor(line((120, 180), (120, 4), 95), [(0, looks[0])]),
        Actor(line((520, 190), (-120, -4), 105), [(0, looks[1])]),
    ]
    return Scenario(Clip(actors, seconds=3.5, seed=seed))


def slow_crossing(looks: Sequence[Look], seed: int) -> Scenario:
    """Two faces cross so slowly that one is hidden for more than a second."""
    actors = [
        Actor(line((220, 180), (40, 0), 95), [(0, looks[0])]),
        Actor(line((420, 185), (-40, 0), 105), [(0, looks[1])]),
    ]
    return Scenario(Clip(actors, seconds=5, seed=seed))


def meeting(looks: Sequence[Look], seed: int) -> Scenario:
    """Two faces overlap and go back where they came from: motion alone would swap them."""
    paths = [_there_and_back(170, 150, 95), _there_and_back(490, -150, 105)]
    actors = [Actor(path, [(0, look)]) for path, look in zip(paths, looks, strict=False)]
    return Scenario(Clip(actors, seconds=4, seed=seed))


def approach(looks: Sequence[Look], seed: int) -> Scenario:
    """One face approaches until it is three times as large; another recedes."""
    actors = [
        Actor(line((180, 170), (10, 0), 60, growth=0.3), [(0, looks[0])]),
        Actor(line((480, 180), (10, 0), 150, growth=-0.3), [(0, looks[1])]),
    ]
    return Scenario(Clip(actors, seconds=3.6, seed=seed))


def pan(looks: Sequence[Look], seed: int) -> Scenario:
    """The camera pans back and forth, faster than a face width per second, and shakes."""
    actors = [Actor(line((x, 180), (0, 0), 80), [(0, look)]) for x, look in zip((220, 330, 440), looks, strict=False)]
    return Scenario(
        Clip(
            actors,
            camera=lambda t: (90 * math.sin(2 * t) + 3 * math.sin(40 * t), 4 * math.sin(31 * t)),
            seconds=5,
            seed=seed,
        )
    )


def pan_past_pillar(looks: Sequence[Look], seed: int) -> Scenario:
    """The camera pans while a face is hidden, so that it reappears elsewhere."""
    actors = [
        Actor(line((200, 180), (0, 0), 90), [(0, looks[0])]),
        Actor(line((460, 180), (0, 0), 90), [(0, looks[1])]),
    ]
    pillar = present(line((200, 0), (0, 0), 130), 1.2, 2.2)
    swing = _ramp(1.4, 2.0, 90)
    return Scenario(Clip(actors, camera=lambda t: (swing(t), 0.0), occluders=[pillar], seconds=4, seed=seed))


def coming_and_going(looks: Sequence[Look], seed: int) -> Scenario:
    """Four people enter and leave on both sides."""
    paths = [
        line((-60, 110), (150, 0), 85),
        present(line((700, 250), (-150, 0), 95), 0.8),
        present(line((-240, 260), (150, 0), 90), 1.2),
        present(line((320, 100), (60, 0), 80), 1.5, 3.5),
    ]
    actors = [Actor(path, [(0, look)]) for path, look in zip(paths, looks, strict=False)]
    return Scenario(Clip(actors, seconds=5, seed=seed))


def five_frames_a_second(looks: Sequence[Look], seed: int) -> Scenario:
    """A low frame rate: faces move two fifths of their width between frames, and cross."""
    actors = [
        Actor(sway(line((120, 150), (110, 0), 85), (0, 15), 0.8), [(0, looks[0])]),
        Actor(sway(line((540, 220), (-130, 0), 95), (0, 20), 0.6), [(0, looks[1])]),
    ]
    return Scenario(Clip(actors, seconds=4, fps=5, seed=seed), every=1)


def poor_detector(looks: Sequence[Look], seed: int) -> Scenario:
    """Jittering boxes, one face in five missed, and a false box in every fifth frame."""
    actors = [
        Actor(sway(line((x, 180), (8, 0), 85), (30, 20), 0.4, tilt=8), [(0, look)])
        for x, look in zip((130, 300, 470), looks, strict=False)
    ]
    return Scenario(Clip(actors, seconds=6, seed=seed), Faults(jitter=0.05, missed=0.2, false=0.2))


def uneven_frames(looks: Sequence[Look], seed: int) -> Scenario:
    """A variable frame rate, about 12 frames per second; faces cross behind a pillar."""
    actors = [
        Actor(line((100, 170), (110, 0), 85), [(0, looks[0])]),
        Actor(line((540, 190), (-110, 0), 95), [(0, looks[1])]),
    ]
    clip = Clip(actors, seconds=4.5, fps=12, uneven=0.9, occluders=[line((320, 0), (0, 0), 80)], seed=seed)
    return Scenario(clip, every=2)


def changing_faces(looks: Sequence[Look], seed: int) -> Scenario:
    """Crossing faces whose look changes abruptly, like a face that begins to laugh."""
    actors = [
        Actor(line((120, 170), (100, 0), 95), [(0, looks[0]), (0.8, looks[0].mirrored()), (2.9, looks[0])]),
        Actor(line((520, 190), (-100, 0), 105), [(0, looks[1]), (1.1, looks[1].mirrored()), (3.1, looks[1])]),
    ]
    return Scenario(Clip(actors, seconds=4, seed=seed))


def cuts(looks: Sequence[Look], seed: int) -> Scenario:
    """Cuts between two people, each alone in the middle of the frame."""
    people = [
        Actor(_in_turns(sway(line((320 + 500 * turn, 180), (0, 0), 120), (8, 5), 0.4), turn), [(0, looks[turn])])
        for turn in (0, 1)
    ]
    return Scenario(Clip(people, camera=lambda t: (500 * (int(t / TURN) % 2), 0), seconds=5 * TURN, seed=seed))


def crowd(looks: Sequence[Look], seed: int) -> Scenario:
    """Six faces that sway and occlude each other, and a detector with errors."""
    places = [(110, 110), (250, 120), (400, 105), (180, 250), (330, 240), (490, 255)]
    actors = [
        Actor(sway(line(place, (6, 0), 75 + 5 * i), (45 + 6 * i, 12), 0.25 + 0.04 * i, tilt=6), [(0, look)])
        for i, (place, look) in enumerate(zip(places, looks, strict=False))
    ]
    return Scenario(Clip(actors, seconds=6, seed=seed), Faults(jitter=0.03, missed=0.08, false=0.1))


SCENARIOS: dict[str, Callable[[Sequence[Look], int], Scenario]] = {
    make.__name__: make
    for make in (
        occlusion,
        passing_pillar,
        crossing,
        slow_crossing,
        meeting,
        approach,
        pan,
        pan_past_pillar,
        coming_and_going,
        five_frames_a_second,
        poor_detector,
        uneven_frames,
        changing_faces,
        cuts,
        crowd,
    )
}


def _in_turns(path: Path, turn: int) -> Path:
    return lambda t: path(t) if int(t / TURN) % 2 == turn else None


def _there_and_back(x: float, speed: float, height: float, turn: float = 2.0) -> Path:
    return lambda t: Pose(x + speed * (turn - abs(turn - t)), 180, height)


def _ramp(start: float, end: float, height: float) -> Callable[[float], float]:
    return lambda t: height * min(max((t - start) / (end - start), 0.0), 1.0)
