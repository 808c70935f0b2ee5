"""`mien train-all`: works off a queue of runs within a time budget, and shows what became of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mien.training.ledger import Ledger
    from mien.training.queue import Job


def train_all(  # noqa: PLR0913, PLR0917 - one parameter an option
    queue: Annotated[Path, typer.Argument(help="Queue of runs, a .toml file.")],
    minutes: Annotated[float | None, typer.Option(min=0, help="Time budget [default: until all is done].")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data sets.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the runs and of their ledger.json.")] = Path("runs"),
    only: Annotated[
        list[str] | None, typer.Option(help="Only these runs of the queue; patterns as 'despam/*' work. Repeatable.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Show queue and ledger, train nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --list: print one JSON array.")] = False,
) -> None:
    """Train a queue of recipes, within a time budget; rerun to continue.

    Every run gets a folder in --out with record.json and model.onnx; ledger.json says what became of each. Finished
    runs are not repeated, unfinished ones go on after their last epoch, failed ones are tried again.
    """
    start = time.monotonic()  # the imports below belong to the budget
    import torch

    from mien.training.ledger import Ledger
    from mien.training.queue import choose_jobs, load_queue
    from mien.training.worker import Worker

    jobs = choose_jobs(load_queue(queue), only or (), has_accelerator=torch.cuda.is_available())
    ledger = Ledger(out)
    if show_list:
        _show(jobs, ledger, as_json=as_json)
        return
    from mien.export.publish import MODEL, publish  # here: what only training needs is missed first, by its name

    worker = Worker(
        ledger,
        data,
        publish=lambda run, dataset: publish(run, dataset, run.folder / MODEL).scores,
        report=typer.echo,
        minutes=minutes,
        start=start,
    )
    failed = worker.work_off(jobs)
    if failed:
        typer.echo(f"{len(failed)} runs failed; mien train-all {queue} --list --out {out} says why.", err=True)
        raise typer.Exit(1)


def _show(jobs: list[Job], ledger: Ledger, *, as_json: bool) -> None:
    """Print the queue's runs in their order, then the ledger's others."""
    from dataclasses import asdict

    waiting = [job.new_row() for job in jobs if (job.entry.name, job.seed) not in ledger.rows]
    queued = {(job.entry.name, job.seed): job.entry.why for job in jobs}
    order = {key: number for number, key in enumerate(queued)}
    rows: list[dict[str, Any]] = [asdict(row) | {"state": "waiting"} for row in waiting]
    for row in ledger.rows.values():
        if row.state == "unfinished":
            row.read_record(ledger.folder)
        rows.append(asdict(row))
    for shown in rows:
        shown["why"] = queued.get((shown["name"], shown["seed"]), "")
    rows.sort(key=lambda shown: order.get((shown["name"], shown["seed"]), len(order)))
    if as_json:
        import json

        typer.echo(json.dumps(rows, indent=1))
        return
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    fixed = ("seed", "state", "epochs", "minutes", "accuracy", "mean\nclass", "without\ntwins")
    table = Table(
        Column("run", overflow="fold"), *(Column(name, no_wrap=True) for name in fixed), box=box.SIMPLE_HEAD, padding=0
    )
    for shown in rows:
        epochs = f"{shown['epochs_done']}/{shown['epochs_planned']}" if shown["epochs_planned"] else "-"
        minutes = f"{shown['minutes']:.1f}" if shown["epochs_done"] else "-"
        scores = _percentages(shown["scores"])
        table.add_row(
            escape(shown["name"]),
            str(shown["seed"]),
            shown["state"],
            epochs,
            minutes,
            *scores,
            shown["hardware"] or "-",
        )
    console = Console()
    console.print(table)
    for shown in rows:
        if shown["message"]:
            console.print(f"{shown['name']} seed {shown['seed']}: {shown['message']}", markup=False, highlight=False)


def _percentages(scores: dict[str, Any]) -> list[str]:
    if not scores:
        return ["-", "-", "-"]
    values = (scores["accuracy"], scores["mean_class_accuracy"], scores["without_duplicates"]["accuracy"])
    return ["-" if value is None else f"{100 * value:.2f} %" for value in values]
