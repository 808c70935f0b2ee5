"""`mien explain`: where in a face a network sees the expression that it appears to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.importing import import_quickly
from mien.apps.options import DetectorName, KeepAll
from mien.apps.recognize import Failures, picture_paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from mien.explain.faces import ExplainedFace, ExplainedImage
    from mien.explain.maps import ExplanationMap


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


def explain(  # noqa: PLR0913, PLR0917 (the options of the command)
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A run folder; or a model's name or .onnx file, for occlusion only.")
    ],
    sources: Annotated[
        list[str], typer.Argument(metavar="IMAGE...", help="Images, folders (searched with all in them) and globs.")
    ],
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="gradcam, gradcam++, layercam, integrated_gradients, occlusion or parts (the modulators' own maps); "
            "may be given several times. [default: gradcam; occlusion for .onnx]",
        ),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The network's stage; of parts, the part. [default: the last; all parts]"),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="The expression to explain. [default: the one recognised]")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also save a figure (PNG, SVG) and the maps (.npz) of every face."),
    ] = None,
    detector: DetectorName = "auto",
    format: Annotated[Format, typer.Option(help="How results are printed.")] = Format.TABLE,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    keep_all: KeepAll = False,
) -> None:
    """Show where in the faces of pictures a network sees the expression that each appears to show.

    A map tells what the network's answer hangs on, not what the face expresses, and not that the answer is right.
    Printed are the middle of the evidence and its share in each quarter of the crop, left and right as the viewer sees
    them. A picture that cannot be read gives one line on stderr and the rest goes on; the exit code is then 1.
    """
    import cv2

    from mien.core.errors import ImageError
    from mien.core.image import read_image
    from mien.explain.faces import FaceExplainer, Question
    from mien.explain.methods import load_explainer, needs_torch

    failures = Failures()
    paths = list(picture_paths(sources, failures))
    if not paths:
        raise typer.Exit(1)
    cv2.setNumThreads(threads)
    if needs_torch(model):
        import_quickly("mien.explain.torch_explainer", "mien.training.run")
    explainer = load_explainer(model, threads)
    question = Question(tuple(method or ()), layer, label)
    faces = FaceExplainer(explainer, question, detector, use_rejection=not keep_all)
    if save is not None:
        from mien.explain.face_figure import prepare_folder

        prepare_folder(save)
    show = _show_json if format is Format.JSON else _show_table
    with _progress(len(paths)) as advance:
        for path in paths:
            try:
                picture = faces.explain_image(read_image(path), str(path))
            except ImageError as error:
                failures.add(error)
            else:
                show(picture, _save(picture, explainer.card.name, save))
            advance()
    if failures.count:
        raise typer.Exit(1)


def _save(picture: ExplainedImage, model: str, folder: Path | None) -> list[list[Path]]:
    """Write the files of every face, if they are wanted."""
    if folder is None:
        return [[] for _ in picture.faces]
    from mien.explain.face_figure import save_face

    return [save_face(picture, number, model, folder) for number in range(len(picture.faces))]


def _show_json(picture: ExplainedImage, files: list[list[Path]]) -> None:
    import json

    content = picture.to_json()
    content["files"] = [[str(path) for path in paths] for paths in files]
    typer.echo(json.dumps(content))


def _show_table(picture: ExplainedImage, files: list[list[Path]]) -> None:
    if not picture.faces:
        typer.echo(f"{picture.source}: no face found")
    for number, (face, paths) in enumerate(zip(picture.faces, files, strict=True), start=1):
        typer.echo(f"{picture.source}: face {number}, appears {_answer(face)}")
        for one in face.maps:
            typer.echo(f"  {_place(one)}")
        if paths:
            typer.echo(f"  saved: {', '.join(str(path) for path in paths)}")


def _answer(face: ExplainedFace) -> str:
    answer = f"{face.face.label} {face.face.confidence:.0%}"
    return answer if face.label == face.face.label else f"{answer}; explained: {face.label} {face.probability:.0%}"


def _place(one: ExplanationMap) -> str:
    """Return one line: the method, the size of its map, and where the evidence lies."""
    height, width = one.values.shape
    where = f" at {one.layer}" if one.label and one.layer else ""
    name = f"{one.method}{where} ({width} x {height})"
    if not one.is_spatial:
        return f"{name:36} frequencies"
    centre = one.centre_of_mass()
    if centre is None:
        return f"{name:36} no evidence for {one.label}" if one.label else f"{name:36} the same everywhere"
    shares = ", ".join(f"{quarter} {share:.0%}" for quarter, share in one.quarters().items())
    return f"{name:36} middle at {centre[0]:.0%} from left, {centre[1]:.0%} from top; {shares}"


@contextmanager
def _progress(count: int) -> Iterator[Callable[[], None]]:
    """Show on stderr how many of the pictures are done, if there are several."""
    if count == 1:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    # standard output is for results
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task("Pictures", total=count)
        yield lambda: bar.advance(task)
