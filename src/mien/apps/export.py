"""`mien export`: from a run folder to an .onnx file, and from either to one that calculates in fewer bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from mien.apps.lowering import LoweredPrecision


def export(  # noqa: PLR0913, PLR0917 - the options of a command
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Folder that `mien train` wrote; for --int8 and --fp16 also a model's name or file.",
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="Data set, to score and calibrate the file.")] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write [default: RUN/model.onnx, model8, model-int8 or model-fp16]."),
    ] = None,
    plugin: PluginFiles = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights in 16 bits: half the size.")] = False,
    weights8: Annotated[
        bool, typer.Option("--weights8", help="Store weights in 8 bits: a quarter of the size.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Calculate in 8-bit integers: fast. Needs --data.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Calculate in 16-bit floats, for GPUs. Needs --data.")] = False,
    allow_loss: Annotated[
        float | None, typer.Option(metavar="POINTS", help="Accuracy that --int8 or --fp16 may lose [default: 0.5].")
    ] = None,
) -> None:
    """Write a trained network as ONNX with its model card inside, checked against torch.

    With --weights8 and --data the accuracy that is lost is measured, and stands in the card and in the run record.
    Without --data the scores, temperature and threshold that the run recorded, if any, go into the card.

    With --int8 or --fp16 it is measured always, on the validation split; a file that loses more than 0.5 points is
    not written.
    """
    from mien.core.errors import MienError

    if half + weights8 + int8 + fp16 > 1:
        raise MienError("Several of --half, --weights8, --int8 and --fp16 are given; expected one of them.")
    if allow_loss is not None and not (int8 or fp16):
        raise MienError("--allow-loss is given; expected --int8 or --fp16 with it.")
    load_plugin_files(plugin)
    if int8 or fp16:
        _export_lowered(source, data, out, "int8" if int8 else "float16", allow_loss)
    else:
        _export_run(source, data, out, 8 if weights8 else 16 if half else 32)


def _export_run(source: str, data: Path | None, out: Path | None, weight_bits: Literal[8, 16, 32]) -> None:
    from mien.apps.publishing import MODEL, MODEL_8_BITS, publish
    from mien.data.registry import needs_path
    from mien.recipes import Recipe
    from mien.training.batches import load_data
    from mien.training.run import load_run

    finished = load_run(Path(source))
    recipe = Recipe.model_validate(finished.record.recipe)
    dataset = load_data(recipe, data) if data is not None or not needs_path(recipe.data.dataset) else None
    path = out or Path(source) / (MODEL_8_BITS if weight_bits == 8 else MODEL)
    scores = publish(finished, dataset, path, weight_bits=weight_bits)
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB, torch and onnxruntime agree")
    if "weights" in scores:
        lost = scores["weights"]
        typer.echo(
            f"{100 * scores['accuracy']:.2f} % of {scores['n']} {scores['split']} faces; "
            f"{100 * lost['accuracy_at_32_bits']:.2f} % with 32-bit weights"
        )


def _export_lowered(
    source: str, data: Path | None, out: Path | None, precision: LoweredPrecision, allow_loss: float | None
) -> None:
    from mien.apps.lowering import LARGEST_LOSS, SUFFIXES, lower, read_source
    from mien.core.errors import MienError

    if out is None and not Path(source).is_dir():
        raise MienError(f"'{source}' is no run folder; name the file to write with --out FILE.")
    path = out or Path(source) / f"model-{SUFFIXES[precision]}.onnx"
    largest_loss = LARGEST_LOSS if allow_loss is None else allow_loss
    lost = lower(read_source(source), data, path, precision, largest_loss=largest_loss).lowered
    change = 0.0 - 100 * lost["accuracy_loss"]  # a loss of 0 is no -0.00
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB, calculates in {precision}")
    typer.echo(
        f"{100 * lost['accuracy']:.2f} % of {lost['n']} {lost['split']} faces, {change:+.2f} points against 32 bits; "
        f"the same label for {100 * lost['same_label']:.1f} %"
    )
