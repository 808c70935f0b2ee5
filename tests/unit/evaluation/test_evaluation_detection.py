import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.errors import DataError
from mien.evaluation import detection
from mien.evaluation.detection import FALSE, HIT, IGNORED, match


def squares(*rows):
    """Return x, y, width, height of squares given by centre and side."""
    return np.array([(x - side / 2, y - side / 2, side, side) for x, y, side in rows], dtype=float).reshape(-1, 4)


def judge(boxes, faces, scores=None, ignored=()):
    scores = np.linspace(0.9, 0.5, len(boxes)) if scores is None else np.array(scores, dtype=float)
    is_ignored = np.array([number in ignored for number in range(len(faces))], dtype=bool)
    return match(squares(*boxes), scores, squares(*faces), is_ignored)


@pytest.mark.parametrize(
    ("box", "outcome"),
    [
        ((50, 50, 20), HIT),
        ((57.9, 50, 20), HIT),
        ((58.1, 50, 20), FALSE),
        ((56, 56, 20), FALSE),  # 0.42 of the side away
        ((50, 50, 8.1), HIT),
        ((50, 50, 7.9), FALSE),
        ((50, 50, 43.9), HIT),
        ((50, 50, 44.1), FALSE),
    ],
)
def test_a_face_is_found_by_a_box_of_about_its_place_and_size(box, outcome):
    matches = judge([box], [(50, 50, 20)])
    assert matches.outcomes.tolist() == [outcome]
    assert matches.is_found.tolist() == [outcome == HIT]


def test_the_longer_side_counts():
    face = np.array([[0.0, 0.0, 10.0, 20.0]])
    assert match(np.array([[0.0, 7.9, 10.0, 20.0]]), np.ones(1), face, np.zeros(1, bool)).outcomes[0] == HIT
    assert match(np.array([[0.0, 8.1, 10.0, 20.0]]), np.ones(1), face, np.zeros(1, bool)).outcomes[0] == FALSE


def test_the_best_scored_box_chooses_first_and_a_second_one_is_false():
    matches = judge([(52, 50, 20), (50, 50, 20)], [(50, 50, 20)], scores=[0.4, 0.8])
    assert matches.scores.tolist() == [0.8, 0.4]
    assert matches.outcomes.tolist() == [HIT, FALSE]
    assert matches.found_by.tolist() == [0]
    assert matches.face_scores.tolist() == [0.8]


def test_boxes_between_two_faces_take_one_each():
    matches = judge([(54, 50, 20), (53, 50, 20)], [(50, 50, 20), (60, 50, 20)])
    assert matches.outcomes.tolist() == [HIT, HIT]
    assert matches.found_by.tolist() == [0, 1]


def test_ignored_faces_count_neither_way_and_any_number_of_boxes_may_be_in_one():
    crowd, face = (100, 100, 100), (20, 20, 20)
    matches = judge(
        [(100, 100, 90), (80, 80, 10), (120, 80, 10), (20, 20, 20), (300, 20, 20)], [crowd, face], ignored=[0]
    )
    assert matches.outcomes.tolist() == [IGNORED, IGNORED, IGNORED, HIT, FALSE]
    assert matches.faces.tolist() == squares(face).tolist()
    assert detection.count([matches]) == {
        "images": 1, "faces": 1, "found": 1, "false": 1, "recall": 1, "false_share": 1, "false_per_image": 1,
    }  # fmt: skip


def test_nothing_found_and_nothing_there():
    assert detection.count([judge([], [(5, 5, 5)])])["recall"] == 0
    empty = judge([], [])
    counts = detection.count([empty])
    assert (counts["faces"], counts["recall"], counts["false_per_image"]) == (0, None, 0)
    assert detection.count([])["false_per_image"] is None
    assert detection.calibration([empty]) == {"ece": None, "bins": []}
    assert detection.sweep([], [0.5])[0]["precision"] is None


def test_arrays_that_do_not_belong_together_are_an_error():
    with pytest.raises(DataError, match="1 boxes with scores of shape \\(2,\\)"):
        match(squares((1, 1, 1)), np.ones(2), squares(), np.zeros(0, bool))


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_a_threshold_is_the_same_before_and_after_matching(seed, threshold):
    rng = np.random.default_rng(seed)
    boxes, faces = squares(*rng.uniform(10, 40, (12, 3))), squares(*rng.uniform(10, 40, (6, 3)))
    scores, is_ignored = rng.uniform(size=12), rng.uniform(size=6) < 0.2
    kept = scores >= threshold
    after = detection.sweep([match(boxes, scores, faces, is_ignored)], [threshold])[0]
    before = detection.count([match(boxes[kept], scores[kept], faces, is_ignored)])
    assert (after["found"], after["false"]) == (before["found"], before["false"])
    matches = match(boxes, scores, faces, is_ignored)
    assert int((matches.face_scores >= threshold).sum() if threshold else matches.is_found.sum()) == before["found"]


def test_a_rejected_box_loses_its_face():
    matches = judge([(50, 50, 20), (90, 90, 20), (10, 10, 20)], [(10, 10, 20), (50, 50, 20), (300, 0, 5)])
    kept = detection.keep_boxes(matches, np.array([False, True, True]))
    assert kept.outcomes.tolist() == [FALSE, HIT]
    assert kept.found_by.tolist() == [1, -1, -1]
    assert detection.keep_boxes(matches, np.zeros(3, bool)).found_by.tolist() == [-1, -1, -1]


def test_recall_by_bins_with_faces():
    values, is_found = np.array([5, 10, 19, 20, 400, np.nan]), np.array([1, 1, 0, 1, 0, 1], dtype=bool)
    assert detection.recall_by(values, is_found, (10, 20, 30, 40)) == [
        {"from": 10, "to": 20, "faces": 2, "found": 1, "recall": 0.5},
        {"from": 20, "to": 30, "faces": 1, "found": 1, "recall": 1.0},
        {"from": 40, "to": None, "faces": 1, "found": 0, "recall": 0.0},
    ]


def test_precision_and_recall_over_thresholds():
    matches = [
        judge([(50, 50, 20), (90, 90, 20)], [(50, 50, 20), (10, 10, 5)], scores=[0.9, 0.6]),
        judge([(50, 50, 20)], [(50, 50, 20)], scores=[0.7]),
    ]
    rows = detection.sweep(matches, (0.5, 0.7, 0.8, 1.0))
    assert [(row["found"], row["false"]) for row in rows] == [(2, 1), (2, 0), (1, 0), (0, 0)]
    assert [row["precision"] for row in rows] == [pytest.approx(2 / 3, abs=1e-6), 1, 1, None]
    assert rows[0]["recall"] == pytest.approx(2 / 3, abs=1e-6)


def test_calibration_error_is_the_gap_between_score_and_share_of_faces():
    hits, false = [judge([(50, 50, 20)], [(50, 50, 20)], [0.85]) for _ in range(3)], judge([(1, 1, 1)], [], [0.85])
    certain = judge([(50, 50, 20)], [(50, 50, 20)], [1.0])
    left_out = judge([(50, 50, 20)], [(50, 50, 20)], [0.1], ignored=[0])
    measured = detection.calibration([*hits, false, certain, left_out])
    assert [(row["from"], row["boxes"], row["share_faces"]) for row in measured["bins"]] == [
        (0.8, 4, 0.75),
        (0.9, 1, 1),
    ]
    assert measured["ece"] == pytest.approx(0.8 * 0.1)
