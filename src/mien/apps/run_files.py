"""What `mien train` writes into a finished run's folder, and the line it prints. Imports torch and matplotlib."""

from __future__ import annotations

import typer

from mien.apps.training import show_notes
from mien.core.text import count, percent
from mien.data.dataset import FaceDataset
from mien.evaluation.predictions import PREDICTIONS
from mien.evaluation.proportions import wilson_interval
from mien.evaluation.report.charts import save_curves, save_scores
from mien.export.publish import publish
from mien.inference.model_files import MODEL
from mien.recipes.record import START
from mien.training.run import Run

CURVES, SCORES = "curves.png", "scores.png"
# With fewer faces, the interval of the accuracy is more than about 10 points wide.
FEW_FACES = 300


def finish(run: Run, dataset: FaceDataset) -> None:
    """Write model file, predictions and charts, and print the score, with its interval if the faces are few."""
    folder, record = run.folder, run.record
    measured = publish(run, dataset, folder / MODEL)
    measured.predictions.save(folder / PREDICTIONS)
    scores, rule = measured.scores, record.selection["rule"]
    is_start_kept = record.selection["epoch"] == START
    save_curves(record.curves, folder / CURVES, record.name, before=scores["accuracy"] if is_start_kept else None)
    save_scores(measured.predictions, folder / SCORES)
    if not is_start_kept:
        rule += f": {record.selection['epoch'] + 1} of {len(record.curves)}"
    typer.echo(
        f"{folder / MODEL}: {percent(scores['accuracy'], 2)} of {count(scores['n'], scores['split'] + ' face')} "
        f"({rule}), "
        f"{record.minutes:.1f} minutes"
    )
    last = record.curves[-1]["validation_accuracy"] if record.curves else 0.0
    if is_start_kept and last > scores["accuracy"]:
        show_notes([f"the last epoch got {percent(last, 2)}; with so few faces that may be chance (sign test at 5 %)"])
    if scores["n"] < FEW_FACES:
        low, high = wilson_interval(scores["accuracy"], scores["n"])
        show_notes(
            [
                f"with {count(scores['n'], 'face')}, the accuracy is uncertain: {percent(low)} to {percent(high)} "
                "(95 % interval); mien experiment --folds scores every image"
            ]
        )
