"""`mien annotate`: every face of a large archive of images, in one Parquet table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.options import DetectorName, KeepAll, ModelName, ViewsName
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.apps.progress import image_progress

if TYPE_CHECKING:
    from mien.inference.archive.tables import Summary


def annotate(  # noqa: PLR0913, PLR0917 (the options of the command)
    source: Annotated[
        Path,
        typer.Argument(metavar="FOLDER|LIST", help="A folder (searched recursively), or a text file of paths."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE.parquet", help="Write the table here.")],
    model: ModelName = "default",
    detector: DetectorName = "auto",
    keep_all: KeepAll = False,
    views: ViewsName = "one",
    plugin: PluginFiles = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Processes, one thread each [default: one per core]."),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Images per chunk: what a killed worker may lose."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(metavar="local|auto|ADDRESS", help="Use Ray: on this machine, or a cluster."),
    ] = None,
) -> None:
    """Annotate an archive of images.

    The table has one row per face; an image without faces has one row with face 0. Files that cannot be read are
    skipped and listed with reasons in FILE.bad.jsonl. After a stop, rerun to continue. The result says how a face
    looks, not what a person feels.
    """
    from mien.apps.interruption import Interruption
    from mien.core.errors import InterruptedArchiveError
    from mien.core.hardware import available_cores
    from mien.inference.archive.job import ArchiveSettings
    from mien.inference.archive.run import annotate as run

    load_plugin_files(plugin)
    if ray is None:
        workers = workers or available_cores()
    settings = ArchiveSettings(model, detector, not keep_all, workers, chunk, views)
    interruption = Interruption()
    try:
        with interruption.delayed(), image_progress() as advance:
            summary = run(source, out, settings, ray=ray, advance=advance, stop=lambda: bool(interruption.signal))
    except InterruptedArchiveError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(128 + interruption.signal) from None
    _print_summary(summary, out)
    if not summary.images:
        raise typer.Exit(1)


def _print_summary(summary: Summary, out: Path) -> None:
    from mien.core.text import count, percent, printable
    from mien.inference.archive.run import bad_list

    without = f" ({summary.without_face:,} without a face)" if summary.without_face else ""
    typer.echo(f"{printable(str(out))}: {count(summary.images, 'image')}{without}, {count(summary.faces, 'face')}")
    if summary.faces:
        shares = (
            f"{name} {percent(n / summary.faces)} ({n:,} of {summary.faces:,})"
            for name, n in summary.words.most_common()
        )
        typer.echo(f"Expressions: {', '.join(shares)}")
    if summary.several:
        several = count(summary.several, "file has several", "files have several")
        typer.echo(f"note: {several} frames or pages; only the first was used.", err=True)
    if skipped := summary.skipped.describe():
        typer.echo(skipped, err=True)
    if summary.bad:
        bad = count(summary.bad, "file")
        typer.echo(f"{bad} could not be read; see {printable(str(bad_list(out)))}", err=True)
