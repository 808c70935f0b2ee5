"""`mien train-all`: trains a queue of runs within a time budget, and shows their state."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.core.text import count

if TYPE_CHECKING:
    from mien.recipes.queue import Job
    from mien.training.ledger import Ledger


def train_all(  # noqa: PLR0913, PLR0917 - one parameter per option
    queue: Annotated[Path, typer.Argument(metavar="QUEUE", help="Queue of runs, a .toml file.")],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data sets.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs and of their ledger.json.")] = Path("runs"),
    minutes: Annotated[float | None, typer.Option(min=0, help="Time budget [default: none].")] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Train these runs only; patterns like 'despam/*' work. Repeatable."),
    ] = None,
    plugin: PluginFiles = None,
    show_list: Annotated[bool, typer.Option("--list", help="Show queue and ledger, train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: print one JSON array.")] = False,
) -> None:
    """Train a queue of runs; rerun to continue.

    Every run gets a folder in --out with record.json and model.onnx; ledger.json keeps their state. Finished runs are
    not repeated, unfinished ones continue after their last epoch, failed ones are tried again.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes  # it includes the imports below
    load_plugin_files(plugin)
    import torch

    from mien.recipes.queue import choose_jobs, load_queue
    from mien.training.ledger import Ledger
    from mien.training.worker import Worker

    jobs = choose_jobs(load_queue(queue), only or (), has_accelerator=torch.cuda.is_available())
    ledger = Ledger(out)
    if show_list:
        _show(jobs, ledger, as_json=as_json)
        return
    from mien.export.publish import publish  # after training's own imports: a missing extra is named by those
    from mien.inference.model_files import MODEL

    worker = Worker(
        ledger, data, lambda run, faces: publish(run, faces, run.folder / MODEL).scores, typer.echo, deadline
    )
    failed = worker.run_all(jobs)
    if failed:
        typer.echo(f"{count(len(failed), 'run')} failed; mien train-all {queue} --list --out {out} says why.", err=True)
        raise typer.Exit(1)


def _show(jobs: list[Job], ledger: Ledger, *, as_json: bool) -> None:
    """Show the queue's runs in their order, then the ledger's others."""
    from mien.training.ledger import LedgerRow

    rows = {job.key: LedgerRow.of(job) for job in jobs} | ledger.rows
    for row in rows.values():
        if row.state == "unfinished":
            row.read_record(ledger.folder)
    if as_json:
        from dataclasses import asdict

        whys = {job.key: job.entry.why for job in jobs}
        typer.echo(json.dumps([asdict(row) | {"why": whys.get(key, "")} for key, row in rows.items()], indent=1))
        return
    from mien.apps.run_tables import print_runs
    from mien.core.text import points

    headings = ("run", "seed", "state", "epochs", "minutes", "accuracy", "mean\nclass", "without\nduplicates")
    cells = []
    for row in rows.values():
        done = row.epochs_done
        shown = [row.scores.get(key) for key in ("accuracy", "mean_class_accuracy")]
        shown.append(row.scores.get("without_duplicates", {}).get("accuracy"))
        epochs = [f"{done}/{row.epochs_planned}" if row.epochs_planned else "-", f"{row.minutes:.1f}" if done else "-"]
        cells.append([row.name, str(row.seed), row.state, *epochs, *map(points, shown)])
    print_runs(headings, cells)
    for row in rows.values():
        if row.message:
            typer.echo(f"{row.name} seed {row.seed}: {row.message}")
