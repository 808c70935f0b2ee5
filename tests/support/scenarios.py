"""Clips with faces that are hard to track, each with a detector's errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from clips import Actor, Clip, Faults, Look, Path, Pose, line, present, sway

# Seconds between cuts.
TURN = 1.1
STEADY = Faults(jitter=0.02)


@dataclass(frozen=True)
class Scenario:
    """A clip, the errors of its detections, and how often the detector runs: `every` n-th frame."""

    clip: Clip
    faults: Faults = STEADY
    every: int = 5


Looks = Sequence[Look]
SCENARIOS: dict[str, Callable[[Looks, int], Scenario]] = {}


def scenario(make: Callable[[Looks, int], Scenario]) -> Callable[[Looks, int], Scenario]:
    """Register a function that makes a scenario from looks and a seed."""
    SCENARIOS[make.__name__] = make
    return make


def film(paths: Sequence[Path], looks: Looks, seed: int, **settings: Any) -> Clip:
    """Return a clip with one person per path, who look the same throughout."""
    return Clip([Actor(path, [(0, look)]) for path, look in zip(paths, looks, strict=False)], seed=seed, **settings)


@scenario
def occlusion(looks: Looks, seed: int) -> Scenario:
    """A person walks behind a pillar for a second and reappears; another one stands still."""
    paths = [line((560, 270), (0, 0), 80), line((60, 120), (100, 0), 90)]
    return Scenario(film(paths, looks[1::-1], seed, seconds=5, occluders=[line((300, 0), (0, 0), 172)]))


@scenario
def passing_pillar(looks: Looks, seed: int) -> Scenario:
    """A pillar passes in front of two faces that hardly move, and hides each for a second."""
    paths = [sway(line((x, 180), (0, 0), 100), (6, 4), 0.3) for x in (200, 420)]
    return Scenario(film(paths, looks, seed, seconds=6, occluders=[line((-120, 0), (150, 0), 230)]))


@scenario
def crossing(looks: Looks, seed: int) -> Scenario:
    """Two faces cross, one in front of the other."""
    paths = [line((120, 180), (120, 4), 95), line((520, 190), (-120, -4), 105)]
    return Scenario(film(paths, looks, seed, seconds=3.5))


@scenario
def slow_crossing(looks: Looks, seed: int) -> Scenario:
    """Two faces cross so slowly that one is hidden for more than a second."""
    paths = [line((220, 180), (40, 0), 95), line((420, 185), (-40, 0), 105)]
    return Scenario(film(paths, looks, seed, seconds=5))


@scenario
def meeting(looks: Looks, seed: int) -> Scenario:
    """Two faces overlap and go back where they came from: motion alone would swap them."""
    return Scenario(film([_there_and_back(170, 150, 95), _there_and_back(490, -150, 105)], looks, seed))


@scenario
def approach(looks: Looks, seed: int) -> Scenario:
    """One face approaches until it is three times as large; another recedes."""
    paths = [line((180, 170), (10, 0), 60, growth=0.3), line((480, 180), (10, 0), 150, growth=-0.3)]
    return Scenario(film(paths, looks, seed, seconds=3.6))


@scenario
def pan(looks: Looks, seed: int) -> Scenario:
    """The camera pans back and forth, faster than a face width per second, and shakes."""
    paths = [line((x, 180), (0, 0), 80) for x in (220, 330, 440)]

    def camera(time: float) -> tuple[float, float]:
        return 90 * math.sin(2 * time) + 3 * math.sin(40 * time), 4 * math.sin(31 * time)

    return Scenario(film(paths, looks, seed, seconds=5, camera=camera))


@scenario
def pan_past_pillar(looks: Looks, seed: int) -> Scenario:
    """The camera pans while a face is hidden, so that it reappears elsewhere."""
    paths = [line((x, 180), (0, 0), 90) for x in (200, 460)]
    pillar = present(line((200, 0), (0, 0), 130), 1.2, 2.2)
    return Scenario(film(paths, looks, seed, camera=lambda t: (_ramp(t, 1.4, 2.0, 90), 0.0), occluders=[pillar]))


@scenario
def coming_and_going(looks: Looks, seed: int) -> Scenario:
    """Four people enter and leave on both sides."""
    paths = [
        line((-60, 110), (150, 0), 85),
        present(line((700, 250), (-150, 0), 95), 0.8),
        present(line((-240, 260), (150, 0), 90), 1.2),
        present(line((320, 100), (60, 0), 80), 1.5, 3.5),
    ]
    return Scenario(film(paths, looks, seed, seconds=5))


@scenario
def five_frames_a_second(looks: Looks, seed: int) -> Scenario:
    """A low frame rate: faces move two fifths of their width between frames, and cross."""
    paths = [
        sway(line((120, 150), (110, 0), 85), (0, 15), 0.8),
        sway(line((540, 220), (-130, 0), 95), (0, 20), 0.6),
    ]
    return Scenario(film(paths, looks, seed, fps=5), every=1)


@scenario
def poor_detector(looks: Looks, seed: int) -> Scenario:
    """Jittering boxes, one face in five missed, and a false box in every fifth frame."""
    paths = [sway(line((x, 180), (8, 0), 85), (30, 20), 0.4, tilt=8) for x in (130, 300, 470)]
    return Scenario(film(paths, looks, seed, seconds=6), Faults(jitter=0.05, missed=0.2, false=0.2))


@scenario
def uneven_frames(looks: Looks, seed: int) -> Scenario:
    """A variable frame rate, about 12 frames per second; faces cross behind a pillar."""
    paths = [line((100, 170), (110, 0), 85), line((540, 190), (-110, 0), 95)]
    pillar = line((320, 0), (0, 0), 80)
    return Scenario(film(paths, looks, seed, seconds=4.5, fps=12, uneven=0.9, occluders=[pillar]), every=2)


@scenario
def changing_faces(looks: Looks, seed: int) -> Scenario:
    """Crossing faces whose look changes abruptly, like a face that begins to laugh."""
    one, two = looks[:2]
    actors = [
        Actor(line((120, 170), (100, 0), 95), [(0, one), (0.8, one.mirrored()), (2.9, one)]),
        Actor(line((520, 190), (-100, 0), 105), [(0, two), (1.1, two.mirrored()), (3.1, two)]),
    ]
    return Scenario(Clip(actors, seed=seed))


@scenario
def cuts(looks: Looks, seed: int) -> Scenario:
    """Cuts between two people, each alone in the middle of the frame."""
    paths = [_in_turns(sway(line((320 + 500 * turn, 180), (0, 0), 120), (8, 5), 0.4), turn) for turn in (0, 1)]
    return Scenario(film(paths, looks, seed, camera=lambda t: (500 * (int(t / TURN) % 2), 0), seconds=5 * TURN))


@scenario
def crowd(looks: Looks, seed: int) -> Scenario:
    """Six faces that sway and occlude each other, and a detector with errors."""
    places = [(110, 110), (250, 120), (400, 105), (180, 250), (330, 240), (490, 255)]
    paths = [
        sway(line(place, (6, 0), 75 + 5 * i), (45 + 6 * i, 12), 0.25 + 0.04 * i, tilt=6)
        for i, place in enumerate(places)
    ]
    return Scenario(film(paths, looks, seed, seconds=6), Faults(jitter=0.03, missed=0.08, false=0.1))


def _in_turns(path: Path, turn: int) -> Path:
    return lambda t: path(t) if int(t / TURN) % 2 == turn else None


def _there_and_back(x: float, speed: float, height: float, turn: float = 2.0) -> Path:
    return lambda t: Pose(x + speed * (turn - abs(turn - t)), 180, height)


def _ramp(time: float, start: float, end: float, height: float) -> float:
    return height * min(max((time - start) / (end - start), 0.0), 1.0)
