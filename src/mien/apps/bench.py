"""`mien bench`: measurements that can be repeated anywhere, printed as ratios."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Measure speed on this machine.", no_args_is_help=True)


@app.callback()
def _bench() -> None:
    """Measure speed on this machine."""


@app.command()
def latency(
    model: Annotated[str, typer.Option(help="Model by name, or an .onnx file.")] = "default",
    rounds: Annotated[int, typer.Option(help="How often each network is timed.")] = 100,
    threads: Annotated[int, typer.Option(help="CPU threads a network may use.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON record to this file.")] = None,
) -> None:
    """Time one face, in turns with ResNet-18 at 224 x 224, and print the ratio."""
    import json

    from mien.evaluation.latency import measure_latency

    measured = measure_latency(model, rounds, threads)
    record = json.dumps(measured.to_json(), indent=1)
    if out is not None:
        out.write_text(record + "\n", encoding="utf-8")
    if as_json:
        typer.echo(record)
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
