"""`mien experiment`: a recipe and its ablations over seeds, folds and protocols, and their mean scores."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.data_sets import DatasetOption
from mien.apps.options import recipe_names
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.apps.training import Choices, gather_overrides, settle_overrides
from mien.core.text import count, points

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.training.run import Run

# t-SNE of more points shows no more and takes minutes.
FEATURE_FACES = 2000
SCORES = ("accuracy", "mean_class_accuracy", "without_duplicates_accuracy")


def experiment(  # noqa: PLR0913, PLR0917 - one parameter per option
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Recipe by name (finetune, despam/fer2013 ...) or a .toml file.",
            autocompletion=recipe_names,
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    dataset: DatasetOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the runs [default: results/RECIPE].")] = None,
    ablations: Annotated[str, typer.Option(help="Also run these ablations, separated by commas.")] = "",
    use_all: Annotated[bool, typer.Option("--all", help="Also run all ablations of the recipe.")] = False,
    seeds: Annotated[str, typer.Option(help="Run each with these seeds, separated by commas.")] = "0",
    folds: Annotated[
        bool, typer.Option("--folds", help="Run every fold of the protocol; 5 if the recipe has none.")
    ] = False,
    protocol: Annotated[str, typer.Option(help="recipe, paper, clean or both (paper and clean).")] = "recipe",
    minutes: Annotated[float | None, typer.Option(min=0, help="Time budget [default: none].")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Replace one setting, as schedule.epochs=5. Repeatable."),
    ] = None,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON array.")] = False,
) -> None:
    """Run ablations, seeds, folds and protocols.

    Every run gets a folder in --out with record.json, predictions.npz, features.npz and model.onnx; ledger.json keeps
    their state. Finished runs are not repeated; rerun to continue. Prints the mean and deviation of each ablation.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes  # it includes the imports below
    load_plugin_files(plugin)
    overrides = settle_overrides(Choices(recipe, gather_overrides(settings, dataset=dataset), None, data), folds=folds)
    from mien.recipes import load_recipe
    from mien.training.experiment import ablations_of, plan_jobs, summarize
    from mien.training.ledger import Ledger
    from mien.training.loading import check_data
    from mien.training.rehearsal import rehearse
    from mien.training.worker import Worker

    chosen = ablations_of(recipe) if use_all else [name.strip() for name in ablations.split(",") if name.strip()]
    numbers = _read_seeds(seeds)
    jobs, variants = plan_jobs(recipe, chosen, numbers, protocol=protocol, use_all_folds=folds, overrides=overrides)
    firsts = {variant.names[0] for variant in variants}  # the other folds and seeds fit if these do
    for job in {job.entry.name: job for job in jobs if job.entry.name in firsts}.values():
        check_data(job.load_recipe(), data)
        rehearse(job.load_recipe())
    ledger = Ledger(out or Path("results") / load_recipe(recipe).name.replace("/", "-"))
    failed = Worker(ledger, data, publish_run, lambda line: typer.echo(line, err=True), deadline).run_all(jobs)
    _show([summarize(variant, numbers, ledger.rows) for variant in variants], as_json=as_json)
    if failed:
        typer.echo(f"{count(len(failed), 'run')} failed; rerun to try them again.", err=True)
        raise typer.Exit(1)


def publish_run(run: Run, dataset: FaceDataset) -> dict[str, Any]:
    """Write model file, predictions and features beside a run's record; return the scores of its scored split."""
    import numpy as np

    from mien.core.whole_file import whole_file
    from mien.export.publish import publish
    from mien.inference.model_files import MODEL
    from mien.training.experiment import compute_features, sample_rows

    measured = publish(run, dataset, run.folder / MODEL)
    predictions = measured.predictions
    predictions.save(run.folder / "predictions.npz")
    scored = dataset.split(predictions.split)
    chosen = sample_rows(scored.labels, FEATURE_FACES)
    features = compute_features(run, scored.subset(chosen))
    with whole_file(run.folder / "features.npz") as file:
        np.savez_compressed(file, features=features, labels=scored.labels[chosen], rows=predictions.rows[chosen])
    return measured.scores


def _read_seeds(text: str) -> list[int]:
    from mien.core.errors import RecipeError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise RecipeError(f"--seeds {text}: expected whole numbers separated by commas, as 0,1,2.") from None


def _show(summaries: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print one row per ablation and protocol."""
    if as_json:
        typer.echo(json.dumps(summaries, indent=1))
        return
    from mien.apps.run_tables import print_runs

    headings = ["ablation", "protocol", "runs", "split", "accuracy", "mean class", "without\nduplicates"]
    rows = [
        [row["ablation"] or "(the recipe)", row["protocol"] or "recipe", f"{row['finished']}/{row['planned']}",
         row["split"] or "-", *(_percent(row, key) for key in SCORES)]
        for row in summaries
    ]  # fmt: skip
    if not any(row["protocol"] for row in summaries):  # a narrow terminal has no room for what says nothing
        for cells in (headings, *rows):
            del cells[1]
    print_runs(headings, rows)


def _percent(row: dict[str, Any], key: str) -> str:
    if row[key] is None:
        return points(None)
    deviation = row.get(f"{key}_deviation")
    return points(row[key]) + ("" if deviation is None else f" ± {points(deviation)}") + " %"
