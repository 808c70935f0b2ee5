"""`mien bench`: measurements that can be repeated anywhere, printed as ratios."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Measure speed and memory on this machine.", no_args_is_help=True)


@app.callback()
def _bench() -> None:
    """Measure speed and memory on this machine."""


@app.command()
def latency(
    model: Annotated[str, typer.Option(help="Model by name, or an .onnx file.")] = "default",
    rounds: Annotated[int, typer.Option(help="How often each network is timed.")] = 100,
    threads: Annotated[int, typer.Option(help="CPU threads a network may use.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON record to this file.")] = None,
) -> None:
    """Time one face, in turns with ResNet-18 at 224 x 224, and print the ratio."""
    from mien.evaluation.latency import measure_latency

    measured = measure_latency(model, rounds, threads)
    if _write_record(measured.to_json(), as_json=as_json, out=out):
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    plural = "thread" if threads == 1 else "threads"
    table = Table(
        "network",
        "input",
        "median ms",
        "p90 ms",
        title=f"One image, {threads} CPU {plural}, {rounds} rounds in turns",
        caption=f"{measured.cpu}, onnxruntime {measured.onnxruntime}",
    )
    for timing in (measured.model, measured.reference):
        shape = " x ".join(map(str, timing.input[1:]))
        table.add_row(escape(timing.network), shape, f"{timing.median_ms:.2f}", f"{timing.p90_ms:.2f}")
    console = Console()
    console.print(table)
    console.print(f"ratio: {measured.ratio:.1f} (the model takes 1/{measured.ratio:.1f} of ResNet-18's time)")


@app.command()
def memory(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL", help="Models by name, or .onnx files [default: default].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON record to this file.")] = None,
) -> None:
    """Measure the peak memory of one face beside ResNet-18 at 224 x 224, each network in a process of its own."""
    from mien.evaluation.memory import measure_memory

    measured = measure_memory(models or ["default"])
    if _write_record(measured.to_json(), as_json=as_json, out=out):
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(
        "network",
        "input",
        "peak MiB",
        "ratio",
        title="Loading a network and scoring one face, one CPU thread",
        caption="MiB above a process with numpy and onnxruntime alone; ratio: ResNet-18's peak over the network's. "
        f"{measured.system}, onnxruntime {measured.onnxruntime}",
    )
    for use in (*measured.models, measured.reference):
        shape = " x ".join(map(str, use.input[1:]))
        table.add_row(escape(use.network), shape, f"{use.mib:.1f}", f"{use.ratio:.2f}")
    Console().print(table)


@app.command()
def train(  # noqa: PLR0913, PLR0917 - one parameter an option
    recipes: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RECIPE]...", help="Recipes by name or .toml file [default: default]."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Replace one setting in all of them. Repeatable.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Timed training steps of each recipe.")] = 50,
    data: Annotated[Path | None, typer.Option(help="Folder of the data sets [default: random pixels].")] = None,
    record: Annotated[
        list[Path] | None,
        typer.Option(
            help="record.json of a run: when it reached 65, 68 and 70 %. Repeatable; alone, nothing is timed."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Time whole training steps of recipes in turns, beside the hardware's peak. Writes nothing."""
    from mien.recipes import load_recipe
    from mien.training.throughput import measure_throughput, read_times

    times = [read_times(path) for path in record or ()]
    names = recipes or ([] if times else ["default"])
    loaded = [load_recipe(name, settings or ()) for name in names]
    measured: dict[str, Any] = measure_throughput(loaded, steps, data) if loaded else {}
    if as_json:
        import json

        typer.echo(json.dumps({**measured, "records": times}, indent=1))
        return
    if measured:
        _print_throughput(measured)
    if times:
        _print_times(times)


def _write_record(content: dict[str, Any], *, as_json: bool, out: Path | None) -> bool:
    """Write a record to a file and print it, as far as either was asked for; return whether it was printed."""
    import json

    from mien.core.errors import MienError

    record = json.dumps(content, indent=1)
    if out is not None:
        try:
            out.write_text(record + "\n", encoding="utf-8")
        except OSError as error:
            raise MienError(f"Cannot write {out}: {error.strerror or error}.") from None
    if as_json:
        typer.echo(record)
    return as_json


def _print_throughput(measured: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    device = _device_name(measured["hardware"])
    peaks = {f"{row['peak_flops'] / 1e12:,.2f} TFLOP/s in {row['precision']}" for row in measured["recipes"]}
    table = Table(
        Column("recipe", overflow="fold"),
        "input",
        "batch",
        "precision",
        "images/s",
        "ratio",
        "GFLOP/image",
        "of peak",
        box=box.SIMPLE_HEAD,
        padding=0,
        title=f"Whole training steps, {measured['steps']} each in turns, {measured['data']}",
        caption=f"{device}, torch {measured['hardware']['torch']}; 3 x forward, 2 FLOP a multiply-accumulate; peak, by "
        f"the best of large matrix products and a convolution: {'; '.join(sorted(peaks))}",
    )
    for row in measured["recipes"]:
        table.add_row(
            escape(row["recipe"]),
            "x".join(map(str, row["input"])),
            str(row["batch_size"]),
            row["precision"],
            f"{row['images_per_second']:,.1f}",
            f"{row['ratio']:.2f}",
            f"{row['flops_per_image'] / 1e9:.3f}",
            f"{100 * row['share_of_peak']:.1f} %",
        )
    Console().print(table)


def _print_times(times: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    reached = [f"{100 * float(accuracy):.0f} %" for accuracy in times[0]["minutes"]]
    table = Table("run", "hardware", "split", "best", *reached, title="Training minutes until an accuracy was reached")
    for row in times:
        best = "-" if row["best"] is None else f"{100 * row['best']:.2f} %"
        minutes = ["-" if spent is None else f"{spent:.1f}" for spent in row["minutes"].values()]
        table.add_row(escape(row["name"]), escape(_device_name(row["hardware"])), row["split"], best, *minutes)
    Console().print(table)


def _device_name(hardware: dict[str, Any]) -> str:
    """Name the accelerator of a record, or the processor where there was none."""
    from mien.recipes.record import name_hardware

    return name_hardware(hardware) or "-"
