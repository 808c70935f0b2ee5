"""`mien evaluate-detector`: counts the faces that a detector finds and misses, and its false boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.data_sets import show_progress
from mien.apps.options import AsJson, Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from mien.evaluation.detector_scores import Finder


def evaluate_detector(  # noqa: PLR0913, PLR0917 - one parameter per option
    detector: Annotated[
        str, typer.Argument(metavar="DETECTOR", help="Detector by name, NAME:FILE, or an .onnx file of one.")
    ],
    boxes: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photographs with boxes in COCO or Pascal VOC files.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Also score what is left when this model has rejected non-faces."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw missed faces (yellow) and false boxes (red) to this .png or .jpg file."
        ),
    ] = None,
    threads: Threads = 1,
    plugin: PluginFiles = None,
    as_json: AsJson = False,
) -> None:
    """Score a face detector.

    Counts faces found and false boxes on photographs with known boxes: by size, brightness and contrast of the faces,
    over thresholds of the score, and whether the scores are calibrated.
    """
    from mien.apps.detector_tables import show_photographs
    from mien.core.errors import DataError
    from mien.evaluation.detector_sheet import MistakeSheet, check_sheet

    load_plugin_files(plugin)
    if boxes is None:
        raise DataError("Name photographs with --boxes DIR.")
    if sheet is not None:
        check_sheet(sheet)
    finder = _make_finder(detector, model, threads)
    mistakes = None if sheet is None else MistakeSheet()
    scores = _score_photographs(finder, boxes, mistakes)
    if as_json:
        typer.echo(json.dumps(scores, indent=1))
    else:
        show_photographs(scores)
    if mistakes is not None and sheet is not None:
        mistakes.save(sheet)
        note = "" if mistakes.is_complete else "; the largest missed faces and the best-scored false boxes only"
        typer.echo(f"Sheet: {sheet} ({mistakes.missed} missed, {mistakes.false} false{note})", err=True)


def _make_finder(detector: str, model: str | None, threads: int) -> Finder:
    from mien.evaluation.detector_scores import Finder
    from mien.inference.detectors.registry import create_detector
    from mien.inference.recognizer import Recognizer

    if model is None:
        return Finder(create_detector(detector))
    recognizer = Recognizer(model, detector, threads)
    return Finder(recognizer.detector, recognizer)


def _score_photographs(finder: Finder, folder: Path, mistakes: Any) -> dict[str, Any]:
    from mien.core.errors import DataError
    from mien.data.box_files import read_boxes
    from mien.evaluation.detector_scores import score_photographs

    photographs = read_boxes(folder)
    if not photographs:
        raise DataError(f"No boxes in {folder}: expected images and COCO (.json) or Pascal VOC (.xml) files.")
    with show_progress(len(photographs), "Photographs") as progress:
        seen = None if mistakes is None else mistakes.add
        return score_photographs(finder, photographs, seen=seen, progress=progress)
