"""Multiple object tracking scores against a clip's ground truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from clips import Truth, shared_area

from mien.core.types import Box
from mien.inference.video.assignment import assign

# Boxes match from this IoU on.
SAME = 0.5


@dataclass(frozen=True)
class TrackScores:
    """Counts over a clip's frames, without hidden faces."""

    faces: int  # visible
    found: int  # visible, with a box
    false: int  # boxes without a face
    switches: int  # changes of a face's tracker id
    fragments: int  # times a visible face was lost and found again
    same_identity: int  # boxes with the tracker id that matches their face best over the whole clip (IDTP)
    boxes: int
    numbers: int  # tracker ids
    overlap: float  # mean IoU of the faces found

    @property
    def idf1(self) -> float:
        """The identity F1 score (Ristani et al., 2016, eq. 11)."""
        return 2 * self.same_identity / max(self.faces + self.boxes, 1)

    @property
    def mota(self) -> float:
        """Multiple object tracking accuracy (Bernardin and Stiefelhagen, 2008, eq. 2)."""
        return 1 - (self.faces - self.found + self.false + self.switches) / max(self.faces, 1)


def score_tracks(frames: Sequence[tuple[Sequence[Truth], Sequence[tuple[int, Box]]]]) -> TrackScores:
    """Compare the ground truth of frames with a tracker's (tracker id, box)."""
    together, last = Counter[tuple[int, int]](), dict[int, int]()
    was_found = dict[int, bool]()
    found = switches = fragments = 0
    overlaps = list[float]()
    for truths, boxes in frames:
        faces = [truth for truth in truths if truth.is_visible]
        pairs = _pairs(faces, boxes)
        found += len(pairs)
        for row, face in enumerate(faces):
            if row in pairs:
                number, box = boxes[pairs[row]]
                overlaps.append(overlap(face.box, box))
                together[face.actor, number] += 1
                switches += last.get(face.actor, number) != number
                fragments += was_found.get(face.actor) is False and face.actor in last
                last[face.actor] = number
            was_found[face.actor] = row in pairs
        for truth in truths:
            if not truth.is_visible:
                was_found.pop(truth.actor, None)  # hidden faces are not fragments
    faces_in_all = sum(truth.is_visible for truths, _ in frames for truth in truths)
    boxes_in_all = sum(len(boxes) for _, boxes in frames)
    return TrackScores(
        faces=faces_in_all,
        found=found,
        false=boxes_in_all - found,
        switches=switches,
        fragments=fragments,
        same_identity=_same_identity(together),
        boxes=boxes_in_all,
        numbers=len({number for _, boxes in frames for number, _ in boxes}),
        overlap=float(np.mean(overlaps)) if overlaps else 0.0,
    )


def overlap(a: Box, b: Box) -> float:
    """Return the IoU of two boxes, 0 to 1."""
    shared = shared_area(a, b)
    return shared / (a.width * a.height + b.width * b.height - shared)


def _pairs(faces: Sequence[Truth], boxes: Sequence[tuple[int, Box]]) -> dict[int, int]:
    if not (faces and boxes):
        return {}
    shares = np.array([[overlap(face.box, box) for _, box in boxes] for face in faces])
    return {row: column for row, column in assign(1 - shares * (shares >= SAME)) if shares[row, column] >= SAME}


def _same_identity(together: Counter[tuple[int, int]]) -> int:
    if not together:
        return 0
    actors, numbers = sorted({a for a, _ in together}), sorted({n for _, n in together})
    counts = np.array([[together[a, n] for n in numbers] for a in actors], dtype=float)
    return int(sum(counts[pair] for pair in assign(-counts)))
