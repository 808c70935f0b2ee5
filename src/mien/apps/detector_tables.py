"""The tables that `mien evaluate-detector` prints."""

from __future__ import annotations

from typing import Any

from mien.apps.score_tables import print_line, print_table
from mien.core.text import count, number, points

CONDITION_TITLES = {
    "size": "By size: longer side of the box in pixels",
    "brightness": "By brightness: mean grey value in the box",
    "contrast": "By contrast: standard deviation of the grey values in the box",
}


def show_photographs(scores: dict[str, Any]) -> None:
    """Print what `mien.evaluation.detector_scores.score_photographs` returns."""
    stages = scores["stages"]
    names = {"detector": scores["detector"], "rejection": "after rejection"}
    first, ignored = stages["detector"], scores["ignored"]
    there = f"{count(first['faces'], 'face')} in {count(first['images'], 'photograph')}"
    notes = [f"{count(ignored, 'annotated box', 'annotated boxes')} ignored."] if ignored else []
    notes += (
        [f"Rejection: boxes that {scores['model']} takes for non-faces are dropped."] if "rejection" in stages else []
    )
    print_table(
        f"{scores['detector']}: {there}",
        ("", "found", "found, %", "false", "false, % of faces", "false per photograph"),
        (
            (names[stage], str(row["found"]), points(row["recall"], 1), str(row["false"]),
             points(row["false_share"], 1), number(row["false_per_image"], 2))
            for stage, row in stages.items()
        ),
        caption=" ".join(notes),
    )  # fmt: skip
    for condition, title in CONDITION_TITLES.items():
        _show_condition(title, {names[stage]: row["by"][condition] for stage, row in stages.items()})
    for stage, row in stages.items():
        _show_thresholds(f"Boxes with at least a score: {names[stage]}", row["thresholds"])
    _show_calibration(f"Calibration of the scores of {scores['detector']}", first["calibration"])


def _show_condition(title: str, by_stage: dict[str, list[dict[str, Any]]]) -> None:
    """Print one row per bin; all stages have the same bins."""
    bins = zip(*by_stage.values(), strict=True)
    print_table(
        title,
        ("", "faces", *(f"found, {name}, %" for name in by_stage)),
        ((_range(row[0]), str(row[0]["faces"]), *(points(one["recall"], 1) for one in row)) for row in bins),
    )


def _show_thresholds(title: str, rows: list[dict[str, Any]]) -> None:
    print_table(
        title,
        ("score", "found", "false", "recall, %", "precision, %"),
        (
            (f"{row['threshold']:g}", str(row["found"]), str(row["false"]), points(row["recall"], 1),
             points(row["precision"], 1))
            for row in rows
        ),
    )  # fmt: skip


def _show_calibration(title: str, calibration: dict[str, Any]) -> None:
    if calibration["ece"] is None:
        print_line(f"{title}: no boxes.")
        return
    print_table(
        title,
        ("score", "boxes", "mean score, %", "faces, %"),
        (
            (_range(row), str(row["boxes"]), points(row["mean_score"], 1), points(row["share_faces"], 1))
            for row in calibration["bins"]
        ),
        caption=f"Expected calibration error {calibration['ece']:.4f}. If calibrated, both percentages are equal.",
    )


def _range(row: dict[str, Any]) -> str:
    return f"{row['from']:g} and more" if row["to"] is None else f"{row['from']:g} to {row['to']:g}"
