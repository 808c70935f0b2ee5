"""`mien train-all`: trains a queue of runs within a time budget, and shows their state."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from mien.recipes.queue import Job
    from mien.training.ledger import Ledger


def train_all(  # noqa: PLR0913, PLR0917 - one parameter per option
    queue: Annotated[Path, typer.Argument(help="Queue of runs, a .toml file.")],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data sets.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs and of their ledger.json.")] = Path("runs"),
    minutes: Annotated[float | None, typer.Option(min=0, help="Time budget [default: none].")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Train these runs only; patterns like 'despam/*' work. Repeatable.")
    ] = None,
    plugin: PluginFiles = None,
    show_list: Annotated[bool, typer.Option("--list", help="Show queue and ledger, train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: print one JSON array.")] = False,
) -> None:
    """Train a queue of runs; rerun to continue.

    Every run gets a folder in --out with record.json and model.onnx; ledger.json keeps their state. Finished runs are
    not repeated, unfinished ones continue after their last epoch, failed ones are tried again.
    """
    start = time.monotonic()  # the budget includes the imports below
    load_plugin_files(plugin)
    import torch

    from mien.recipes.queue import choose_jobs, load_queue
    from mien.training.ledger import Ledger
    from mien.training.worker import Worker

    jobs = choose_jobs(load_queue(queue), only or (), has_accelerator=torch.cuda.is_available())
    ledger = Ledger(out)
    if show_list:
        _show(_rows(jobs, ledger), as_json=as_json)
        return
    from mien.export.publish import MODEL, publish  # after training's own imports: a missing extra is named by those

    worker = Worker(
        ledger,
        data,
        publish=lambda run, dataset: publish(run, dataset, run.folder / MODEL).scores,
        report=typer.echo,
        minutes=minutes,
        start=start,
    )
    failed = worker.run_all(jobs)
    if failed:
        typer.echo(f"{len(failed)} runs failed; mien train-all {queue} --list --out {out} says why.", err=True)
        raise typer.Exit(1)


def _rows(jobs: list[Job], ledger: Ledger) -> list[dict[str, Any]]:
    """Return the queue's runs in their order, then the ledger's others, JSON-ready."""
    from dataclasses import asdict

    from mien.training.ledger import LedgerRow

    rows: list[dict[str, Any]] = []
    known = dict(ledger.rows)
    for started in known.values():
        if started.state == "unfinished":
            started.read_record(ledger.folder)
    for job in jobs:
        row = known.pop(job.key, None)
        content = asdict(row) if row else asdict(LedgerRow.of(job)) | {"state": "waiting"}
        rows.append(content | {"why": job.entry.why})
    return rows + [asdict(row) | {"why": ""} for row in known.values()]


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=1))
        return
    from mien.apps.run_tables import print_runs
    from mien.apps.score_tables import percent

    headings = ("run", "seed", "state", "epochs", "minutes", "accuracy", "mean\nclass", "without\nduplicates")
    cells = []
    for row in rows:
        done, planned, scores = row["epochs_done"], row["epochs_planned"], row["scores"]
        shown = [scores.get(key) for key in ("accuracy", "mean_class_accuracy")]
        shown.append(scores.get("without_duplicates", {}).get("accuracy"))
        epochs = [f"{done}/{planned}" if planned else "-", f"{row['minutes']:.1f}" if done else "-"]
        cells.append([row["name"], str(row["seed"]), row["state"], *epochs, *map(percent, shown)])
    print_runs(headings, cells)
    for row in rows:
        if row["message"]:
            typer.echo(f"{row['name']} seed {row['seed']}: {row['message']}")
