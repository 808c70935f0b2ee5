"""`mien bench video`: frames a second of the whole way from a file to results, and memory over a long stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.core.errors import MienError


def video(  # noqa: PLR0913, PLR0917 - one parameter an option
    model: Annotated[str, typer.Option(help="Model by name, or an .onnx file.")] = "default",
    seconds: Annotated[float, typer.Option(min=0, help="Length of the drawn clip; 0: only --minutes.")] = 12,
    minutes: Annotated[
        float, typer.Option(min=0, help="Also run a stream of this many minutes, as fast as it goes, and watch memory.")
    ] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads a network, OpenCV and the coders may use.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON record to this file.")] = None,
) -> None:
    """Time a 720p clip with three drawn faces from file to results, in turns with well-known networks."""
    if not (seconds or minutes):
        raise MienError("Nothing is measured: give a length with --seconds or --minutes.")
    from mien.evaluation.video_speed import measure_video

    measured = measure_video(model, seconds, minutes, threads)
    record = json.dumps(measured, indent=1)
    if out is not None:
        out.write_text(record + "\n", encoding="utf-8")
    if as_json:
        typer.echo(record)
    else:
        _print(measured)


def _print(measured: dict[str, Any]) -> None:
    if "speeds" in measured:
        _print_speeds(measured)
    if "soak" in measured:
        soak = measured["soak"]
        typer.echo(
            f"{soak['minutes']:g} minutes ({soak['frames']:,} frames): {soak['after_one_minute_mib']:.0f} MiB after "
            f"the first minute, {soak['at_end_mib']:.0f} at the end, {soak['highest_mib']:.0f} at most"
        )


def _print_speeds(measured: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    clip = measured["clip"]
    table = Table(
        "network",
        "detector",
        "writes a video",
        "frames/s",
        "CPU ms/frame",
        "ratio",
        title=f"{clip['frames']} frames of {clip['width']} x {clip['height']} with {clip['faces']} faces",
        caption=f"{measured['cpu']}, {measured['cores']} cores, {measured['threads']} thread(s) a part; "
        "ratio: the model's frames/s with the same detector, not writing, over this",
    )
    for row in measured["speeds"]:
        writes = "yes" if row["use_writing"] else "no"
        speed = f"{row['frames_per_second']:.1f}", f"{row['cpu_ms_per_frame']:.1f}", f"{row['ratio']:.2f}"
        table.add_row(escape(row["network"]), row["detector"], writes, *speed)
    console = Console()
    console.print(table)
    stages = ", ".join(f"{name} {ms:.2f}" for name, ms in measured["stages_cpu_ms_per_frame"].items())
    console.print(f"processor ms a frame: {stages}")
