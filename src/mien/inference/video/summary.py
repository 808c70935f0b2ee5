"""What a whole video shows: shares of people and of time, flicker, and each person's expressions over time.

What is remembered does not grow with the video: a track's course is held in a fixed number of time slots, which become
longer as the video does, and of very many people the shortest seen are only counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.core.types import FrameResult, TrackedFace
from mien.inference.video.frames import DEFAULT_RATE
from mien.inference.video.smoothing import FlickerMeter

SLOTS = 600
FIRST_SLOT = 0.1  # seconds
TRACKS = 200
# A track seen for less than this (or a tenth of a short video) is no person in the shares.
SHORTEST_SEEN = 0.5
# A frame stands for the time until the next one, but for no more than this, in seconds.
LONGEST_FRAME = 1.0
SECONDS_GONE = 30.0


class TrackCourse:
    """One person: when seen, and for how long with which expression; `slots` is seconds, (SLOTS, labels)."""

    def __init__(self, track: int, time: float, labels: int) -> None:
        self.track = track
        self.first = time
        self.last = time
        self.slots: NDArray[np.float32] = np.zeros((SLOTS, labels), dtype=np.float32)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Seconds of each expression, (labels,)."""
        total: NDArray[np.float64] = self.slots.sum(axis=0, dtype=np.float64)
        return total

    def halve(self) -> None:
        """Make each slot twice as long."""
        pairs = self.slots.reshape(SLOTS // 2, 2, -1).sum(axis=1)
        self.slots = np.concatenate([pairs, np.zeros_like(pairs)])


class VideoSummary:
    """Adds up the frames of one video."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Start; `labels` are the model's."""
        self.labels = tuple(labels)
        self.slot = FIRST_SLOT
        self.frames = 0
        self.dropped = 0
        self.courses: dict[int, TrackCourse] = {}
        self._flicker = FlickerMeter()
        self._start: float | None = None
        self._end = 0.0
        self._open: tuple[float, list[TrackedFace]] | None = None
        self._step = 1 / DEFAULT_RATE
        # People of whom only this is known, for there were too many: their main expressions, and all their time.
        self._others: Counter[str] = Counter()
        self._others_seconds = np.zeros(len(self.labels))

    def add(self, result: FrameResult) -> None:
        """Take the next frame."""
        if self._open is not None:
            self._step = min(max(result.time - self._open[0], 0.0), LONGEST_FRAME)
            self._account(self._step)
        seen = [face for face in result.faces if face.is_seen]
        self._open = (result.time, seen)
        self._start = result.time if self._start is None else self._start
        self.frames, self.dropped = self.frames + 1, result.dropped
        for face in seen:
            self._flicker.update(face.track, face.raw_label, face.label, result.time)

    def finish(self) -> None:
        """Count the last frame, which lasts as long as the one before it."""
        if self._open is not None:
            self._account(self._step)
        self._open = None

    @property
    def seconds(self) -> float:
        """How long the video is, in seconds."""
        return self._end - (self._start or 0.0)

    @property
    def people(self) -> Counter[str]:
        """How many people show mostly which expression."""
        shown = [course for course in self.courses.values() if self._is_person(course)]
        return self._others + Counter(self.labels[int(np.argmax(course.seconds))] for course in shown)

    def share_of_people(self) -> dict[str, float]:
        """Of the people, the part that shows each expression most of its time."""
        people = self.people
        return {label: people[label] / max(people.total(), 1) for label in self.labels}

    def share_of_time(self) -> dict[str, float]:
        """Of the time that faces are seen, added up over faces, the part of each expression."""
        seconds = self._others_seconds + sum(course.seconds for course in self.courses.values())
        total = float(seconds.sum()) or 1.0
        return {label: float(part) / total for label, part in zip(self.labels, seconds, strict=True)}

    def flicker(self) -> dict[str, float]:
        """Changes of the label in a second of a track's time, before and after smoothing."""
        return {"raw": self._flicker.raw, "smoothed": self._flicker.smoothed}

    def to_json(self) -> dict[str, object]:
        """Return the summary as it is written beside the video."""
        return {
            "frames": self.frames,
            "dropped": self.dropped,
            "seconds": round(self.seconds, 3),
            "people": self.people.total(),
            "share_of_people": _rounded(self.share_of_people()),
            "share_of_time": _rounded(self.share_of_time()),
            "label_changes_per_second": _rounded(self.flicker()),
            "tracks": [self._track(course) for course in self.courses.values() if self._is_person(course)],
        }

    def longest(self, most: int) -> list[TrackCourse]:
        """Return the people seen longest, in the order of their first frames."""
        people = sorted(filter(self._is_person, self.courses.values()), key=lambda c: -float(c.seconds.sum()))
        return sorted(people[:most], key=lambda c: (c.first, c.track))

    def _is_person(self, course: TrackCourse) -> bool:
        return float(course.seconds.sum()) >= min(SHORTEST_SEEN, 0.1 * self.seconds)

    def _account(self, step: float) -> None:
        """Let the open frame have lasted `step` seconds."""
        assert self._open is not None  # noqa: S101
        time, faces = self._open
        self._end = time + step
        while self._end - (self._start or 0.0) > SLOTS * self.slot:
            for course in self.courses.values():
                course.halve()
            self.slot *= 2
        seconds = self._seconds_in_slots(time - (self._start or 0.0), step)
        for face in faces:
            course = self.courses.setdefault(face.track, TrackCourse(face.track, time, len(self.labels)))
            course.last = self._end
            for slot, part in seconds.items():
                course.slots[slot, self.labels.index(face.label)] += part
        if len(self.courses) > TRACKS:
            self._let_go(time)

    def _seconds_in_slots(self, since: float, step: float) -> dict[int, float]:
        """Divide a frame's time among the slots that it lasts through: slow cameras have more slots than frames."""
        # rounded, so that frames as long as a slot do not touch two
        first, end = round(since / self.slot, 6), round((since + step) / self.slot, 6)
        slots = range(int(first), min(math.ceil(end), SLOTS))
        return {slot: (min(slot + 1, end) - max(slot, first)) * self.slot for slot in slots}

    def _let_go(self, time: float) -> None:
        """Keep of the person seen shortest, of those who have left, only the counts."""
        gone = [course for course in self.courses.values() if time - course.last > SECONDS_GONE]
        if not gone:
            return
        least = min(gone, key=lambda course: float(course.seconds.sum()))
        del self.courses[least.track]
        self._flicker.keep_only(self.courses)
        self._others_seconds += least.seconds
        if self._is_person(least):
            self._others[self.labels[int(np.argmax(least.seconds))]] += 1

    def _track(self, course: TrackCourse) -> dict[str, object]:
        seconds = course.seconds
        total = float(seconds.sum()) or 1.0
        return {
            "track": course.track,
            "first": round(course.first, 3),
            "last": round(course.last, 3),
            "seconds": round(float(seconds.sum()), 3),
            "label": self.labels[int(np.argmax(seconds))],
            "share_of_time": _rounded(dict(zip(self.labels, (seconds / total).tolist(), strict=True))),
        }


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}
