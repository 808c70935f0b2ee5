"""`mien export`: write a run as an .onnx file, or convert a model to half precision or int8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from mien.export.convert import Target
    from mien.export.weights import WeightBits


def export(  # noqa: PLR0913, PLR0917 - the options of a command
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Run folder; for --int8 and --fp16 also a model by name or file.",
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="Data set to calibrate and score the file on.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="File to write [default: RUN/model.onnx, model16, model8, model-int8 or model-fp16]."
        ),
    ] = None,
    plugin: PluginFiles = None,
    half: Annotated[bool, typer.Option("--half", help="Store weights in 16 bits: half the size.")] = False,
    weights8: Annotated[
        bool, typer.Option("--weights8", help="Store weights in 8 bits: a quarter of the size.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Convert to 8-bit integers: fast. Needs --data.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Convert to half precision, for GPUs. Needs --data.")] = False,
    allow_loss: Annotated[
        float | None, typer.Option(metavar="POINTS", help="Accuracy that --int8 or --fp16 may lose [default: 0.5].")
    ] = None,
) -> None:
    """Write a run as an .onnx file, or convert it.

    The file contains its model card and is checked against torch. With --data it is calibrated and scored; without
    it, the card gets what the run recorded. --weights8 with --data also measures the loss of accuracy and stores it in
    the card and in the run record.

    --int8 and --fp16 always measure the loss, on the validation split, and write nothing if it exceeds 0.5 points.
    """
    from mien.core.errors import MienError

    if half + weights8 + int8 + fp16 > 1:
        raise MienError("Several of --half, --weights8, --int8 and --fp16 are given; expected one of them.")
    if allow_loss is not None and not (int8 or fp16):
        raise MienError("--allow-loss is given; expected --int8 or --fp16 with it.")
    load_plugin_files(plugin)
    if int8 or fp16:
        _convert(source, data, out, "int8" if int8 else "float16", allow_loss)
    else:
        _export_run(source, data, out, 8 if weights8 else 16 if half else 32)


def _export_run(source: str, data: Path | None, out: Path | None, weight_bits: WeightBits) -> None:
    from mien.data.registry import needs_path
    from mien.export.publish import MODEL_8_BITS, MODEL_16_BITS, publish, write_unmeasured
    from mien.inference.model_files import MODEL
    from mien.training.loading import load_data
    from mien.training.run import load_run

    run = load_run(Path(source))
    path = out or Path(source) / {32: MODEL, 16: MODEL_16_BITS, 8: MODEL_8_BITS}[weight_bits]
    if data is None and needs_path(run.recipe.data.dataset):
        write_unmeasured(run, path, weight_bits=weight_bits)
        scores = run.record.scores
    else:
        scores = publish(run, load_data(run.recipe, data), path, weight_bits=weight_bits).scores
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB, torch and onnxruntime agree")
    if "weights" in scores:
        typer.echo(
            f"{100 * scores['accuracy']:.2f} % of {scores['n']} {scores['split']} faces; "
            f"{100 * scores['weights']['accuracy_at_32_bits']:.2f} % with 32-bit weights"
        )


def _convert(source: str, data: Path | None, out: Path | None, target: Target, allow_loss: float | None) -> None:
    from mien.core.errors import MienError
    from mien.export.convert import LARGEST_LOSS, SUFFIXES, convert, read_source

    if out is None and not Path(source).is_dir():
        raise MienError(f"'{source}' is not a run folder; name the file to write with --out FILE.")
    path = out or Path(source) / f"model-{SUFFIXES[target]}.onnx"
    largest_loss = LARGEST_LOSS if allow_loss is None else allow_loss
    made = convert(read_source(source), data, path, target, largest_loss).conversion
    change = 0.0 - 100 * made["accuracy_loss"]  # avoids -0.00
    typer.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB, computes in {target}")
    typer.echo(
        f"{100 * made['accuracy']:.2f} % of {made['n']} {made['split']} faces, {change:+.2f} points against 32 bits; "
        f"the same label for {100 * made['same_label']:.1f} %"
    )
