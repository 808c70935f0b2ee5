"""Score a face detector's boxes against true faces: found and false, by condition, over thresholds, calibration.

Boxes and faces are rows x, y, width, height in pixels. The side of one is its longer side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core.errors import DataError

Rows = NDArray[np.float64]

# A box finds a face if its centre is nearer to the face's than this share of the face's side ...
CENTRE = 0.4
# ... and its side is between these multiples of the face's.
SMALLEST_RATIO, LARGEST_RATIO = 0.4, 2.2
FALSE, HIT, IGNORED = 0, 1, 2
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Matches:
    """The boxes of one image, judged.

    Attributes:
        boxes: (n, 4), the best-scored first.
        scores: (n,), in [0, 1], descending.
        outcomes: (n,): `HIT`, `FALSE`, or `IGNORED`: the box shows a face that counts neither way.
        faces: (m, 4), the faces that count.
        found_by: (m,) the row of the box that found each face; -1 if none did.
    """

    boxes: Rows
    scores: NDArray[np.float64]
    outcomes: NDArray[np.int64]
    faces: Rows
    found_by: NDArray[np.int64]

    @property
    def is_found(self) -> NDArray[np.bool_]:
        """(m,) whether each face was found."""
        return self.found_by >= 0

    @property
    def face_scores(self) -> NDArray[np.float64]:
        """(m,) the score of the box that found each face, 0 if none did."""
        return np.where(self.is_found, np.append(self.scores, 0.0)[self.found_by], 0.0)


def match(boxes: Rows, scores: NDArray[np.float64], faces: Rows, is_ignored: NDArray[np.bool_]) -> Matches:
    """Match the boxes of one image with its true faces.

    The boxes choose in the order of their scores: each takes the nearest face that it fits and that is still free. So
    the matches at a higher threshold are those of the boxes above it. A box that fits no free face is false, unless it
    fits an ignored face or its centre is inside one. A second box on the same face is false.

    Args:
        boxes: (n, 4).
        scores: (n,).
        faces: (m, 4), each with an area.
        is_ignored: (m,).

    Raises:
        DataError: An array has another shape.
    """
    boxes, faces = np.asarray(boxes, float).reshape(-1, 4), np.asarray(faces, float).reshape(-1, 4)
    if scores.shape != (len(boxes),) or is_ignored.shape != (len(faces),):
        raise DataError(
            f"{len(boxes)} boxes with scores of shape {scores.shape}, {len(faces)} faces with is_ignored of shape"
            f" {is_ignored.shape}; expected one number for each."
        )
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes[order], scores[order].astype(np.float64)
    true, ignored = faces[~is_ignored], faces[is_ignored]
    distances = _distances(boxes, true)
    is_excused = _is_inside(boxes, ignored) | np.any(np.isfinite(_distances(boxes, ignored)), axis=1)
    outcomes = np.where(is_excused, IGNORED, FALSE)
    found_by = np.full(len(true), -1)
    for row in range(len(boxes)):
        free = np.where(found_by < 0, distances[row], np.inf)
        if free.size and np.isfinite(free.min()):
            found_by[free.argmin()] = row
            outcomes[row] = HIT
    return Matches(boxes, scores, outcomes, true, found_by)


def keep_boxes(matches: Matches, is_kept: NDArray[np.bool_]) -> Matches:
    """Return the matches without the boxes that a later stage rejects; `is_kept` is (n,), in the order of `boxes`."""
    rows = np.append(np.where(is_kept, np.cumsum(is_kept) - 1, -1), -1)
    kept = (matches.boxes[is_kept], matches.scores[is_kept], matches.outcomes[is_kept])
    return Matches(*kept, matches.faces, rows[matches.found_by])


def count(matches: Sequence[Matches]) -> dict[str, Any]:
    """Return the counts of several images.

    Returns:
        `images`, `faces`, `found`, `false`; `recall` and `false_share`, found and false boxes per face;
        `false_per_image`. The shares are None without faces or images.
    """
    faces = sum(len(one.faces) for one in matches)
    found = sum(int(one.is_found.sum()) for one in matches)
    false = sum(int((one.outcomes == FALSE).sum()) for one in matches)
    return {
        "images": len(matches),
        "faces": faces,
        "found": found,
        "false": false,
        "recall": _share(found, faces),
        "false_share": _share(false, faces),
        "false_per_image": _share(false, len(matches)),
    }


def recall_by(values: NDArray[np.float64], is_found: NDArray[np.bool_], edges: Sequence[float]) -> list[dict[str, Any]]:
    """Return how many faces were found in each bin of a condition, such as their size in pixels.

    Args:
        values: (n,) the condition of each face; a face with NaN is in no bin.
        is_found: (n,).
        edges: The lower edges of the bins, ascending; a bin reaches to the next edge, the last one to infinity. Faces
            below the first edge are in no bin.

    Returns:
        One row per bin with faces: `from`, `to` (None: infinity), `faces`, `found` and `recall`.
    """
    rows = []
    for low, high in zip(edges, (*edges[1:], np.inf), strict=True):
        chosen = (values >= low) & (values < high)
        faces, found = int(chosen.sum()), int((chosen & is_found).sum())
        if faces:
            row = {"from": low, "to": high if np.isfinite(high) else None}
            rows.append(row | {"faces": faces, "found": found, "recall": _share(found, faces)})
    return rows


def sweep(matches: Sequence[Matches], thresholds: Sequence[float]) -> list[dict[str, Any]]:
    """Return precision and recall if only boxes with a score of at least a threshold counted.

    Returns:
        One row per threshold: `threshold`, `found`, `false`, `recall` and `precision`, each None if it has no
        denominator.
    """
    scores, outcomes = _join(matches)
    faces = sum(len(one.faces) for one in matches)
    rows = []
    for threshold in thresholds:
        kept = scores >= threshold
        found, false = (int((kept & (outcomes == outcome)).sum()) for outcome in (HIT, FALSE))
        shares = {"recall": _share(found, faces), "precision": _share(found, found + false)}
        rows.append({"threshold": threshold, "found": found, "false": false, **shares})
    return rows


def calibration(matches: Sequence[Matches], bins: int = CALIBRATION_BINS) -> dict[str, Any]:
    r"""Return how well the scores say how many boxes are faces.

    .. math:: \mathrm{ECE} = \sum_b \frac{|B_b|}{n} \, |\mathrm{faces}(B_b) - \mathrm{score}(B_b)|

    where faces and score are the share of faces among the boxes of bin b and their mean score. Source: Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017, Eq. (3), for the two classes face and no face. Boxes that a
    detector does not return, below its own threshold, are not seen.

    Args:
        matches: Several images; boxes of ignored faces are left out.
        bins: Bins of equal width.

    Returns:
        `ece` in [0, 1], None without boxes; and `bins`, one row per bin with boxes: `from`, `to`, `boxes`,
        `mean_score`, `share_faces`.
    """
    scores, outcomes = _join(matches)
    scores, is_face = scores[outcomes != IGNORED], outcomes[outcomes != IGNORED] == HIT
    numbers = np.clip((scores * bins).astype(int), 0, bins - 1)
    rows, ece = [], 0.0
    for number in np.unique(numbers).tolist():
        chosen = numbers == number
        score, share = float(scores[chosen].mean()), float(is_face[chosen].mean())
        ece += float(chosen.mean()) * abs(share - score)
        row = {"from": number / bins, "to": (number + 1) / bins, "boxes": int(chosen.sum())}
        rows.append(row | {"mean_score": round(score, 4), "share_faces": round(share, 4)})
    return {"ece": round(ece, 4) if rows else None, "bins": rows}


def sides(rows: Rows) -> NDArray[np.float64]:
    """Return the longer sides (n,) of boxes (n, 4)."""
    return np.maximum(rows[:, 2], rows[:, 3])


def _distances(boxes: Rows, faces: Rows) -> NDArray[np.float64]:
    """Return the distances (n, m) of centres in sides of the faces; infinite where a box does not fit a face."""
    centres, others = boxes[:, :2] + boxes[:, 2:] / 2, faces[:, :2] + faces[:, 2:] / 2
    side = sides(faces)
    distances = np.linalg.norm(centres[:, None] - others[None], axis=2) / side
    ratios = sides(boxes)[:, None] / side
    fits = (distances < CENTRE) & (ratios > SMALLEST_RATIO) & (ratios < LARGEST_RATIO)
    return np.where(fits, distances, np.inf)


def _is_inside(boxes: Rows, faces: Rows) -> NDArray[np.bool_]:
    """Return (n,) whether the centre of each box is inside one of the faces."""
    centres = (boxes[:, :2] + boxes[:, 2:] / 2)[:, None]
    is_inside = (centres >= faces[:, :2]) & (centres < faces[:, :2] + faces[:, 2:])
    return np.asarray(np.any(np.all(is_inside, axis=2), axis=1), dtype=np.bool_)


def _join(matches: Sequence[Matches]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return scores and outcomes of the boxes of all images."""
    scores = [one.scores for one in matches] or [np.empty(0)]
    outcomes = [one.outcomes for one in matches] or [np.empty(0, dtype=np.int64)]
    return np.concatenate(scores), np.concatenate(outcomes)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
