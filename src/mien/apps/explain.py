"""`mien explain`: show where in a face a network sees the expression."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mien.apps.failures import Failures
from mien.apps.hints import check_save_folder
from mien.apps.options import DetectorName, KeepAll, Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.apps.progress import progress_bar
from mien.core.text import percent

if TYPE_CHECKING:
    from mien.explain.faces import ExplainedImage
    from mien.explain.maps import ExplanationMap

# Shared with the other commands on explanations.
ExplainedModel = Annotated[
    str, typer.Argument(metavar="MODEL", help="Run folder; or a model's name or .onnx file, for occlusion only.")
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="gradcam, gradcam++, layercam, integrated_gradients, occlusion or parts (the modulators' own maps). "
        "Repeatable. [default: gradcam; occlusion for .onnx]",
    ),
]


def explain(  # noqa: PLR0913, PLR0917 - one parameter per option
    model: ExplainedModel,
    sources: Annotated[
        list[str], typer.Argument(metavar="IMAGE", help="Images, folders (searched recursively) and globs.")
    ],
    method: Methods = None,
    layer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Stage; for parts, the part or stage. [default: the last stage; all parts]"),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="Expression to explain. [default: the predicted one]")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also save a figure (PNG, SVG) and the maps (.npz) of each face."),
    ] = None,
    detector: DetectorName = "auto",
    plugin: PluginFiles = None,
    format: Annotated[Literal["table", "json"], typer.Option(help="Output format.")] = "table",
    threads: Threads = 1,
    keep_all: KeepAll = False,
) -> None:
    """Show where a network sees an expression.

    A map shows what the network's prediction depends on, not what the face expresses, nor that the prediction is right.
    Prints the centre of the evidence and its share in each quarter of the crop; left and right are the viewer's.
    An image that cannot be read is reported on stderr and skipped; the exit code is then 1.
    """
    check_save_folder(save, "json")
    load_plugin_files(plugin)
    import cv2

    from mien.core.errors import ImageError
    from mien.explain.face_figure import prepare_folder, save_face
    from mien.explain.faces import FaceExplainer, load_explainer

    failures = Failures()
    paths = failures.expand_images(sources)
    if not paths:
        failures.finish()
    cv2.setNumThreads(threads)
    explainer = load_explainer(model, threads)
    faces = FaceExplainer(explainer, method or (), layer, label, detector, use_rejection=not keep_all)
    if save is not None:
        prepare_folder(save)
    with progress_bar(is_shown=len(paths) > 1) as bar:
        for path in bar.track(paths, description="Images"):
            try:
                image = faces.explain_image(path)
            except ImageError as error:
                failures.add(error)
            else:
                files = (
                    [save_face(image, i, explainer.card.name, save) for i in range(len(image.faces))] if save else []
                )
                if image.frames > 1:
                    note = f"{image.source} has {image.frames:,} frames or pages; only the first was used."
                    typer.echo(f"note: {note}", err=True)
                _show(image, files or [[]] * len(image.faces), as_json=format == "json")
    failures.finish()


def _show(image: ExplainedImage, files: list[list[Path]], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(image.to_json() | {"files": [[str(path) for path in paths] for paths in files]}))
        return
    if not image.faces:
        typer.echo(f"{image.source}: no faces detected")
    for number, (face, paths) in enumerate(zip(image.faces, files, strict=True), start=1):
        typer.echo(f"{image.source}: face {number}, appears {face.describe()}")
        for one in face.maps:
            typer.echo(f"  {_describe_map(one)}")
        if paths:
            typer.echo(f"  saved: {', '.join(str(path) for path in paths)}")


def _describe_map(one: ExplanationMap) -> str:
    """Return the method, the size of its map, and where the evidence lies, in one line."""
    height, width = one.values.shape
    where = f" at {one.layer}" if one.label and one.layer else ""
    name = f"{one.method}{where} ({width} x {height})"
    if not one.is_spatial:
        return f"{name:36} frequencies"
    centre = one.centre_of_mass()
    if centre is None:
        return f"{name:36} no evidence for {one.label}" if one.label else f"{name:36} constant"
    shares = ", ".join(f"{quarter} {percent(share)}" for quarter, share in one.quarters().items())
    return f"{name:36} centre at {percent(centre[0])} from left, {percent(centre[1])} from top; {shares}"
