"""The tables that `mien evaluate-detector` prints."""

from __future__ import annotations

from typing import Any

from mien.apps.score_tables import print_line, print_table
from mien.core.text import count, number, points

BIN_TITLES = {
    "size": "By size: longer side of the box in pixels",
    "brightness": "By brightness: mean grey value in the box",
    "contrast": "By contrast: standard deviation of the grey values in the box",
}
LEVEL_TITLES = {
    "size": "Size: side of the face in pixels",
    "roll": "Roll in degrees",
    "yaw": "Imitated yaw: share by which the far half is narrower",
    "faces": "Faces of the data set",
    "shade": "Shade: how much darker than usual one side of the head is",
    "light": "Light: factor of the grey values",
    "contrast": "Contrast: factor of the differences from the mean",
    "noise": "Noise: standard deviation in grey levels",
    "cover": "Covered by",
    "without_face": "Without a face",
}
FRONTAL = (
    "Frontal: OpenCV's cascade for frontal faces finds one in the data set's image, here drawn 24 to 300 pixels large "
    "and rolled by up to 30 degrees."
)


def show_photographs(scores: dict[str, Any]) -> None:
    """Print what `mien.evaluation.detector_scores.score_photographs` returns."""
    stages, names, ignored = scores["stages"], _stage_names(scores), scores["ignored"]
    first = stages["detector"]
    there = f"{count(first['faces'], 'face')} in {count(first['images'], 'photograph')}"
    notes = [f"{count(ignored, 'annotated box', 'annotated boxes')} ignored."] if ignored else []
    _show_counts(f"{scores['detector']}: {there}", scores, stages, notes)
    for condition, title in BIN_TITLES.items():
        _show_bins(title, {names[stage]: row["by"][condition] for stage, row in stages.items()})
    for stage, row in stages.items():
        _show_thresholds(f"Boxes with at least a score: {names[stage]}", row["thresholds"])
    _show_calibration(f"Calibration of the scores of {scores['detector']}", first["calibration"])


def show_scenes(scores: dict[str, Any]) -> None:
    """Print what `mien.evaluation.detector_scenes.score_scenes` returns."""
    stages, names = scores["stages"], _stage_names(scores)
    first = stages["detector"]
    title = f"{scores['detector']}: {count(first['frontal']['faces'], 'frontal face')} drawn into photographs"
    _show_counts(title, scores, {stage: row["frontal"] for stage, row in stages.items()}, [FRONTAL])
    for condition in first["conditions"]:
        _show_levels(condition, {names[stage]: row["conditions"][condition] for stage, row in stages.items()})
    _show_calibration(f"Calibration of the scores of {scores['detector']}, frontal faces", first["calibration"])


def _stage_names(scores: dict[str, Any]) -> dict[str, str]:
    return {"detector": scores["detector"], "rejection": "after rejection"}


def _show_counts(title: str, scores: dict[str, Any], counts: dict[str, dict[str, Any]], notes: list[str]) -> None:
    """Print the counts of each stage."""
    names = _stage_names(scores)
    if "rejection" in counts:
        notes = [*notes, f"Rejection: boxes that {scores['model']} takes for non-faces are dropped."]
    print_table(
        title,
        ("", "found", "found, %", "false", "false, % of faces", "false per image"),
        (
            (names[stage], str(row["found"]), points(row["recall"], 1), str(row["false"]),
             points(row["false_share"], 1), number(row["false_per_image"], 2))
            for stage, row in counts.items()
        ),
        caption=" ".join(notes),
    )  # fmt: skip


def _show_levels(condition: str, by_stage: dict[str, list[dict[str, Any]]]) -> None:
    """Print one row per level of a condition."""
    columns = [(name, what) for what in ("found, %", "false per image") for name in by_stage]
    levels = zip(*by_stage.values(), strict=True)
    print_table(
        LEVEL_TITLES[condition],
        ("", "faces", *(f"{name}: {what}" for name, what in columns)),
        (
            (row[0]["level"], str(row[0]["faces"]), *(points(one["recall"], 1) for one in row),
             *(number(one["false_per_image"], 3) for one in row))
            for row in levels
        ),
    )  # fmt: skip


def _show_bins(title: str, by_stage: dict[str, list[dict[str, Any]]]) -> None:
    """Print one row per bin; all stages have the same bins."""
    bins = zip(*by_stage.values(), strict=True)
    print_table(
        title,
        ("", "faces", *(f"{name}: found, %" for name in by_stage)),
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
