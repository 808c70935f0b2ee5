"""`mien bench`: measurements that can be repeated anywhere, printed as ratios."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from mien.apps.options import AsJson, ModelName, Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.apps.score_tables import print_line, print_table
from mien.core.errors import MissingExtraError

Out: TypeAlias = Annotated[Path | None, typer.Option(help="Also write the JSON record to this file.")]

app = typer.Typer(help="Measure speed and memory on this machine.", no_args_is_help=True)


@app.command()
def latency(
    model: ModelName = "default",
    rounds: Annotated[int, typer.Option(help="How often each network is timed.")] = 100,
    threads: Threads = 1,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Time one face, compared with ResNet-18.

    The model and an untrained ResNet-18 at 224 x 224 pixels take turns: the ratio hardly depends on the machine.
    """
    from mien.evaluation.latency import measure_latency

    measured = measure_latency(model, _reference(), rounds, threads)
    if _write_record(measured, as_json=as_json, out=out):
        return
    timings = filter(None, (measured["model"], measured["reference"]))
    print_table(
        f"One image, {threads} CPU thread{'s' if threads > 1 else ''}, {rounds} rounds in turns",
        ("network", "input", "median ms", "p90 ms"),
        ((t["network"], _size(t["input"]), f"{t['median_ms']:.2f}", f"{t['p90_ms']:.2f}") for t in timings),
        caption=f"{measured['cpu']}, onnxruntime {measured['onnxruntime']}",
    )
    if ratio := measured["ratio"]:
        print_line(f"ratio: {ratio:.1f} (the model takes 1/{ratio:.1f} of ResNet-18's time)")


@app.command()
def memory(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Model names or .onnx files [default: default].")
    ] = None,
    as_json: AsJson = False,
    out: Out = None,
) -> None:
    """Measure peak memory, compared with ResNet-18.

    Each network loads and scores one face in its own process.
    """
    from mien.evaluation.memory import measure_memory

    measured = measure_memory(models or ["default"], _reference())
    if _write_record(measured, as_json=as_json, out=out):
        return
    uses = filter(None, (*measured["models"], measured["reference"]))
    print_table(
        "Loading a network and scoring one face, one CPU thread",
        ("network", "input", "peak MiB", "ratio"),
        ((use["network"], _size(use["input"]), f"{use['mib']:.1f}", f"{use['ratio'] or math.nan:.2f}") for use in uses),
        caption="MiB above a process with numpy and onnxruntime alone; ratio: ResNet-18's peak over the network's. "
        f"{measured['system']}, onnxruntime {measured['onnxruntime']}",
    )


@app.command()
def train(  # noqa: PLR0913, PLR0917 - one parameter per option
    recipes: Annotated[
        list[str] | None, typer.Argument(metavar="RECIPE", help="Recipe names or .toml files [default: default].")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting in every recipe. Repeatable."),
    ] = None,
    plugin: PluginFiles = None,
    steps: Annotated[int, typer.Option(min=2, help="Timed training steps of each recipe.")] = 50,
    data: Annotated[Path | None, typer.Option(help="Folder of the data sets [default: random pixels].")] = None,
    as_json: AsJson = False,
) -> None:
    """Time training steps of recipes.

    Recipes take turns and are compared with the hardware's peak. Nothing is written.
    """
    from mien.recipes import load_recipe
    from mien.training.throughput import measure_throughput

    load_plugin_files(plugin)
    measured = measure_throughput([load_recipe(name, settings or ()) for name in recipes or ["default"]], steps, data)
    if as_json:
        typer.echo(json.dumps(measured, indent=1))
    else:
        _print_throughput(measured)


def _reference() -> bytes | None:
    """Return an untrained ResNet-18; None with a line on standard error if that cannot be made here."""
    try:
        from mien.export.reference import reference_onnx
    except ModuleNotFoundError:
        typer.echo(f"note: {MissingExtraError('The ResNet-18 reference', 'export')}", err=True)
        return None
    return reference_onnx()


def _write_record(content: dict[str, Any], *, as_json: bool, out: Path | None) -> bool:
    """Write a record to a file and print it, as requested; return whether it was printed."""
    record = json.dumps(content, indent=1)
    if out is not None:
        out.write_text(record + "\n", encoding="utf-8")
    if as_json:
        typer.echo(record)
    return as_json


def _print_throughput(measured: dict[str, Any]) -> None:
    from mien.recipes.record import name_hardware

    recipes, hardware = measured["recipes"], measured["hardware"]
    peaks = sorted({f"{row['peak_flops'] / 1e12:,.2f} TFLOP/s in {row['precision']}" for row in recipes})
    print_table(
        f"Whole training steps, {measured['steps']} each in turns, {measured['data']}",
        ("recipe", "input", "batch", "precision", "images/s", "ratio", "GFLOP/image", "of peak"),
        (
            (row["recipe"], "x".join(map(str, row["input"])), str(row["batch_size"]), row["precision"],
             f"{row['images_per_second']:,.1f}", f"{row['ratio']:.2f}", f"{row['flops_per_image'] / 1e9:.3f}",
             f"{100 * row['share_of_peak']:.1f} %")
            for row in recipes
        ),
        caption=f"{name_hardware(hardware)}, torch {hardware['torch']}; 3 x forward, 2 FLOP per multiply-accumulate; "
        f"peak: a large matrix product, {'; '.join(peaks)}",
    )  # fmt: skip


def _size(shape: list[int]) -> str:
    return " x ".join(map(str, shape[1:]))
