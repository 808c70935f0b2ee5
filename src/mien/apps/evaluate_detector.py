"""`mien evaluate-detector`: counts the faces that a detector finds and misses, and its false boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.data_sets import DataOption, DatasetOption, show_progress
from mien.apps.options import AsJson, Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from mien.evaluation.detector_conditions import ConditionComposer
    from mien.evaluation.detector_scores import Finder, Seen


def evaluate_detector(  # noqa: PLR0913, PLR0917 - one parameter per option
    detector: Annotated[
        str, typer.Argument(metavar="DETECTOR", help="Detector by name, NAME:FILE, or an .onnx file of one.")
    ],
    boxes: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photographs with boxes in COCO or Pascal VOC files.")
    ] = None,
    scenes: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Photographs to draw the faces of --data on; every fifth one is used."),
    ] = None,
    data: DataOption = None,
    dataset: DatasetOption = None,
    faces: Annotated[int, typer.Option(min=1, help="Drawn faces for each level of a condition.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the drawn scenes.")] = 0,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Also score what is left when this model has rejected non-faces."),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw missed faces (yellow), false boxes (red) to this .png or .jpg file."),
    ] = None,
    threads: Threads = 1,
    plugin: PluginFiles = None,
    as_json: AsJson = False,
) -> None:
    """Score a face detector.

    With --boxes, counts faces found and false boxes on photographs with known boxes: by size, brightness and contrast
    of the faces, over thresholds of the score, and whether the scores are calibrated. With --scenes and --data, counts
    them on photographs that validation faces of the data are drawn into: by size, roll, imitated yaw, light, contrast,
    noise, shade and cover.
    """
    from mien.apps.detector_tables import show_photographs, show_scenes
    from mien.core.errors import DataError
    from mien.evaluation.detector_sheet import MistakeSheet, check_sheet

    load_plugin_files(plugin)
    if (boxes is None) == (scenes is None):
        raise DataError("Name photographs with boxes by --boxes DIR, or photographs to draw on by --scenes DIR.")
    if sheet is not None:
        check_sheet(sheet)
    finder = _make_finder(detector, model, threads)
    mistakes = MistakeSheet() if scenes is None else MistakeSheet(16, 8, by_name=True)
    seen = None if sheet is None else mistakes.add
    if boxes is not None:
        scores = _score_photographs(finder, boxes, seen)
    elif scenes is not None:
        scores = _score_scenes(finder, _make_composer(scenes, data, dataset, seed), faces, seen)
    if as_json:
        typer.echo(json.dumps(scores, indent=1))
    elif scenes is None:
        show_photographs(scores)
    else:
        show_scenes(scores)
    if sheet is not None:
        mistakes.save(sheet)
        note = "" if mistakes.is_complete else "; not all are shown"
        typer.echo(f"Sheet: {sheet} ({mistakes.missed} missed, {mistakes.false} false{note})", err=True)


def _make_finder(detector: str, model: str | None, threads: int) -> Finder:
    from mien.evaluation.detector_scores import Finder
    from mien.inference.detectors.registry import create_detector
    from mien.inference.recognizer import Recognizer

    if model is None:
        return Finder(create_detector(detector))
    recognizer = Recognizer(model, detector, threads)
    return Finder(recognizer.detector, recognizer)


def _make_composer(scenes: Path, data: Path | None, dataset: str | None, seed: int) -> ConditionComposer:
    from mien.core.errors import DataError
    from mien.data.options import LoadOptions
    from mien.data.registry import detect, load
    from mien.data.scenes.covers import FACE
    from mien.data.scenes.photographs import load_scenes
    from mien.evaluation.detector_conditions import ConditionComposer
    from mien.evaluation.frontal_faces import find_frontal

    if dataset is None:
        if data is None:
            raise DataError("Name the faces to draw with --data PATH, or with --dataset a data set that needs none.")
        dataset = detect(data)
    loaded = load(dataset, data, LoadOptions(image_size=FACE, channels=1))
    loaded.require_split("validation")
    shown = loaded.split("validation")
    images = shown.images if shown.is_face is None else shown.images[shown.is_face]
    _, held_back = load_scenes(scenes).divide()
    return ConditionComposer(images, find_frontal(images), held_back.photographs, seed)


def _score_scenes(finder: Finder, composer: ConditionComposer, faces: int, seen: Seen | None) -> dict[str, Any]:
    from mien.evaluation.detector_scenes import count_faces, score_scenes

    with show_progress(count_faces(faces)) as progress:
        return score_scenes(finder, composer, faces, seen=seen, progress=progress)


def _score_photographs(finder: Finder, folder: Path, seen: Seen | None) -> dict[str, Any]:
    from mien.core.errors import DataError
    from mien.data.box_files import read_boxes
    from mien.evaluation.detector_scores import score_photographs

    photographs = read_boxes(folder)
    if not photographs:
        raise DataError(f"No boxes in {folder}: expected images and COCO (.json) or Pascal VOC (.xml) files.")
    with show_progress(len(photographs), "Photographs") as progress:
        return score_photographs(finder, photographs, seen=seen, progress=progress)
