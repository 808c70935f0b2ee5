"""A summary of a video: shares of people and of time, flicker, and each person's expressions over time.

Memory does not grow with the video. A track's history has a fixed number of time slots, which get longer as the video
does; with many people, only totals are kept of those who have left and were seen shortest.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.core.types import UNSURE, TrackedFace
from mien.inference.results import FrameResult
from mien.inference.video.frames import DEFAULT_RATE

SLOTS = 600
FIRST_SLOT = 0.02  # seconds
MAX_TRACKS = 200
# A track seen for less than this, or than a tenth of a shorter video, is not counted as a person.
MIN_SEEN = 0.5
# A frame lasts until the next one, but at most this long, in seconds.
MAX_FRAME_TIME = 1.0
# A person who was not seen for this long, in seconds, has left.
LEFT_AFTER = 30.0


class TrackHistory:
    """When a person was seen, and as which of the summary's `words`."""

    def __init__(self, face: TrackedFace, time: float, words: int, labels: int) -> None:
        self.track = face.track
        self.face, self.time = face, time  # the last one seen, and when
        self.first = self.last = time  # when it was seen first and last, in seconds
        self.slots: NDArray[np.float32] = np.zeros((SLOTS, words), dtype=np.float32)  # seconds of each word
        self.chances: NDArray[np.float32] = np.zeros((SLOTS, labels), dtype=np.float32)  # probability times seconds

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(words,) seconds of each word."""
        return np.asarray(self.slots.sum(axis=0, dtype=np.float64))

    @property
    def mean_probabilities(self) -> NDArray[np.float64]:
        """(600, labels), the mean of the smoothed probabilities in each time slot; 0 where the person is not seen."""
        seconds = self.slots.sum(axis=1, dtype=np.float64, keepdims=True)
        return np.asarray(self.chances / np.where(seconds > 0, seconds, 1))

    def double_slots(self) -> None:
        """Join each two time slots, which makes room for as many again."""
        self.slots, self.chances = _with_pairs_joined(self.slots), _with_pairs_joined(self.chances)

    @property
    def total(self) -> float:
        """For how long the person was seen, in seconds."""
        return float(self.seconds.sum())


class VideoSummary:
    """Sums up the frames of one video.

    `words` are what a face may count as: the labels, then "unsure".
    """

    def __init__(self, labels: Sequence[str]) -> None:
        """Start without frames; `labels` are the model's."""
        self.labels = tuple(labels)
        self.words = (*self.labels, UNSURE)
        self.slot = FIRST_SLOT
        self.frames = 0
        self.dropped = 0
        self.tracks: dict[int, TrackHistory] = {}
        self._changes = {"raw": 0, "smoothed": 0}  # of labels
        self._track_time = 0.0
        self.seconds = 0.0  # the length of the video
        self._pending: tuple[float, list[TrackedFace]] | None = None  # the last frame: how long it lasts is not known
        self._frame_time = 1 / DEFAULT_RATE
        # Of the tracks that are no longer kept: people by main word, and (words,) seconds.
        self._removed: Counter[str] = Counter()
        self._removed_seconds = np.zeros(len(self.words))

    def add(self, result: FrameResult) -> None:
        """Add the next frame."""
        if self._pending is not None:
            self._frame_time = min(max(result.time - self._pending[0], 0.0), MAX_FRAME_TIME)
            self._count_pending()
        seen = [face for face in result.faces if face.is_seen]
        self._pending = (result.time, seen)
        self.frames, self.dropped = self.frames + 1, result.dropped
        for face in seen:
            if face.track not in self.tracks:
                self.tracks[face.track] = TrackHistory(face, result.time, len(self.words), len(self.labels))
            track = self.tracks[face.track]
            self._track_time += max(result.time - track.time, 0.0)
            self._changes["raw"] += face.raw_label != track.face.raw_label
            self._changes["smoothed"] += face.label != track.face.label
            track.face, track.time = face, result.time

    def finish(self) -> None:
        """Count the last frame, which lasts as long as the one before it."""
        self._count_pending()
        self._pending = None

    @property
    def people(self) -> Counter[str]:
        """The number of people by what they count as for most of the time."""
        return self._removed + Counter(self._main_word(track) for track in self._people())

    @property
    def flicker(self) -> dict[str, float]:
        """The label changes per second of track time: `raw`, and `smoothed`."""
        return {kind: count / (self._track_time or math.inf) for kind, count in self._changes.items()}

    def share_of_time(self, track: TrackHistory | None = None) -> dict[str, float]:
        """Return the share of each word in the time that one face is seen, or all faces together."""
        seconds = track.seconds if track else sum((t.seconds for t in self.tracks.values()), self._removed_seconds)
        return dict(zip(self.words, (seconds / (float(seconds.sum()) or 1.0)).tolist(), strict=True))

    def to_json(self) -> dict[str, object]:
        """Return the content of the summary file."""
        people = self.people
        return {
            "frames": self.frames,
            "dropped": self.dropped,
            "seconds": round(self.seconds, 3),
            "people": people.total(),
            "share_of_people": _rounded({word: people[word] / max(people.total(), 1) for word in self.words}),
            "share_of_time": _rounded(self.share_of_time()),
            "label_changes_per_second": _rounded(self.flicker),
            "tracks": [
                {
                    "track": track.track,
                    "first": round(track.first, 3),
                    "last": round(track.last, 3),
                    "seconds": round(track.total, 3),
                    "label": self._main_word(track),
                    "share_of_time": _rounded(self.share_of_time(track)),
                }
                for track in self._people()
            ],
        }

    def longest(self, maximum: int) -> list[TrackHistory]:
        """Return the people seen longest, sorted by their first frames."""
        people = sorted(self._people(), key=lambda track: -track.total)
        return sorted(people[:maximum], key=lambda track: (track.first, track.track))

    def _people(self) -> list[TrackHistory]:
        return [track for track in self.tracks.values() if self._is_person(track)]

    def _is_person(self, track: TrackHistory) -> bool:
        return track.total >= min(MIN_SEEN, 0.1 * self.seconds)

    def _main_word(self, track: TrackHistory) -> str:
        return self.words[int(np.argmax(track.seconds))]

    def _count_pending(self) -> None:
        """Count the pending frame, which has lasted `self._frame_time` seconds."""
        if self._pending is None:
            return
        time, faces = self._pending
        self.seconds = time + self._frame_time
        while self.seconds > SLOTS * self.slot:
            self.slot *= 2
            for track in self.tracks.values():
                track.double_slots()
        seconds = self._seconds_by_slot(time, self._frame_time)
        for face in faces:
            track = self.tracks[face.track]
            track.last = self.seconds
            chances = np.array(list(face.probabilities.values()), dtype=np.float32)
            for slot, part in seconds.items():
                track.slots[slot, self.words.index(face.counts_as)] += part
                track.chances[slot] += part * chances
        if len(self.tracks) > MAX_TRACKS:
            self._remove_shortest(time)

    def _seconds_by_slot(self, time: float, duration: float) -> dict[int, float]:
        """Divide a frame's duration among the slots it covers: at low frame rates, more than one."""
        # rounded, so that a frame as long as a slot does not cover two
        first, end = round(time / self.slot, 6), round((time + duration) / self.slot, 6)
        slots = range(int(first), min(math.ceil(end), SLOTS))
        return {slot: (min(slot + 1, end) - max(slot, first)) * self.slot for slot in slots}

    def _remove_shortest(self, time: float) -> None:
        """Keep only totals of the person seen shortest among those who have left."""
        left = [track for track in self.tracks.values() if time - track.last > LEFT_AFTER]
        if not left:
            return
        shortest = min(left, key=lambda track: track.total)
        del self.tracks[shortest.track]
        self._removed_seconds += shortest.seconds
        if self._is_person(shortest):
            self._removed[self._main_word(shortest)] += 1


def _with_pairs_joined(values: NDArray[np.float32]) -> NDArray[np.float32]:
    pairs = values.reshape(SLOTS // 2, 2, -1).sum(axis=1)
    return np.concatenate([pairs, np.zeros_like(pairs)])


def _rounded(values: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}
