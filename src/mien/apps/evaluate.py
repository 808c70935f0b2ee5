"""`mien evaluate` and `mien score`: how well a model does on a data set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.dataset import FaceDataset
    from mien.evaluation.predictions import Predictions
    from mien.evaluation.views import Views
    from mien.inference.model import ExpressionModel

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

# key, heading, whether it is a share to print in percent
MEASURES = (
    ("accuracy", "accuracy", True),
    ("mean_class_accuracy", "mean class accuracy", True),
    ("macro_f1", "macro F1", True),
    ("weighted_f1", "weighted F1", True),
    ("top2", "top-2 accuracy", True),
    ("nll", "NLL (nats)", False),
    ("ece", "ECE", False),
    ("brier", "Brier score", False),
)
NONE = "-"


def evaluate(  # noqa: PLR0913, PLR0917 - one parameter an option
    model: Annotated[str, typer.Argument(help="Model by name, or an .onnx file.")],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set by name [default: what --data holds].")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    out: Annotated[Path, typer.Option(help="Folder that the predictions file is written to.")] = Path(),
    views: Annotated[str, typer.Option(help="one, flip or ten-crop: test-time augmentation.")] = "one",
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Score a model on a data set, with and without images that are also in its training split.

    Writes predictions-MODEL-DATASET-SPLIT.npz to --out (default: current folder), which `mien score` reads; the
    ablation and the seed that a model was trained with follow its name.
    """
    from mien.evaluation.scores import score as compute_scores
    from mien.evaluation.views import check_views
    from mien.inference.model import ExpressionModel

    chosen_views = check_views(views)
    loaded = ExpressionModel.load(model, threads=threads)
    faces = load_faces(loaded, data, dataset)
    faces.require_split(split)
    out.mkdir(parents=True, exist_ok=True)  # what is in its way shows before the work
    predictions = _predict(loaded, faces, split, chosen_views)
    path = out / _file_name(predictions, loaded.card.recipe)
    predictions.save(path)
    _show(compute_scores(predictions), as_json)
    typer.echo(f"Predictions: {path}", err=True)
    if "train" not in faces.split_names:
        typer.echo("The data hold no training split, so no image is known to have a twin in it.", err=True)


def score(  # noqa: PLR0913, PLR0917 - one parameter an option
    predictions: Annotated[Path, typer.Argument(help="File that `mien evaluate` wrote.")],
    by: Annotated[str | None, typer.Option(help="Also score each group of this column, such as subject.")] = None,
    smallest: Annotated[int, typer.Option(help="Images that a group needs to count for the largest gap.")] = 30,
    calibrate: Annotated[
        str | None,
        typer.Option(metavar="half|FILE", help="Also fit a temperature, on one half or on another predictions file."),
    ] = None,
    ferplus: Annotated[
        Path | None, typer.Option(help="Also compare with FER+'s majorities: folder with fer2013.csv, fer2013new.csv.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Score a predictions file again; needs neither the model nor the pictures."""
    from mien.apps import score_tables
    from mien.evaluation.predictions import Predictions
    from mien.evaluation.scores import score as compute_scores
    from mien.evaluation.scores import score_calibrated
    from mien.evaluation.slices import score_slices

    loaded = Predictions.load(predictions)
    more: dict[str, Any] = {}
    if by is not None:
        more["slices"] = score_slices(loaded, by, smallest)
    if calibrate is not None:
        other = None if calibrate == "half" else Predictions.load(calibrate)
        more["calibrated"] = score_calibrated(loaded, other)
    if ferplus is not None:
        more["agreement"] = _agreement(loaded, ferplus)
    _show({**compute_scores(loaded), **more}, as_json)
    if not as_json:
        score_tables.show(more)


def _agreement(predictions: Predictions, data: Path) -> dict[str, Any]:
    from mien.core.errors import DataError
    from mien.data import fer2013, votes
    from mien.evaluation.agreement import measure_agreement

    source = fer2013.locate(data)
    rows = fer2013.read_rows(source)
    counts = fer2013.read_counts(source, rows)
    if counts is None:
        raise DataError(f"No {votes.FILE_NAME} beside {source}; the majorities of FER+ are counted from it.")
    return measure_agreement(predictions, counts, rows.emotions)


def load_faces(model: ExpressionModel, data: Path | None, dataset: str | None) -> FaceDataset:
    """Load a data set in the size and the channels that a model takes; `dataset` None: what `data` holds."""
    from mien.core.errors import DataError
    from mien.data.registry import LoadOptions, detect, load

    if dataset is None:
        if data is None:
            raise DataError("Name the data with --data PATH, or with --dataset a data set that needs none.")
        dataset = detect(data)
    trained = model.card.recipe.get("data", {})
    is_divided_anew = trained.get("protocol", "official") != "official" or trained.get("validation_from")
    if trained.get("dataset") == dataset and is_divided_anew:
        typer.echo(
            f"note: '{model.card.name}' was trained under another division of {dataset}; it may have learnt from these "
            "images or been chosen by them.",
            err=True,
        )
    spec = model.card.input
    return load(dataset, data, LoadOptions(image_size=spec.size, channels=spec.channels))


def _predict(model: ExpressionModel, faces: FaceDataset, split: str, views: Views) -> Predictions:
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    from mien.data.duplicates import duplicate_mask
    from mien.evaluation.predict import predict_dataset

    chosen = faces.split(split)
    rows = np.flatnonzero(faces.splits == split)
    is_duplicate = duplicate_mask(faces)[rows]
    # standard output is for results
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Faces", total=len(chosen))
        return predict_dataset(
            model, chosen, is_duplicate, rows=rows, progress=lambda done: bar.advance(task, done), views=views
        )


def _file_name(predictions: Predictions, recipe: Mapping[str, Any]) -> str:
    """Name the predictions after all that tells them apart; a recipe's ablations and seeds share its name."""
    import re

    ablation, seed = recipe.get("ablation"), recipe.get("training", {}).get("seed")
    run = [*([ablation] if ablation else []), *([f"seed{seed}"] if seed else [])]
    parts = ["predictions", predictions.model, *run, predictions.dataset, predictions.split]
    if predictions.views != "one":
        parts.append(predictions.views)
    return "-".join(re.sub(r"[^\w.]+", "-", part) for part in parts) + ".npz"


def _show(scores: dict[str, Any], as_json: bool) -> None:
    if as_json:
        import json

        typer.echo(json.dumps(scores, indent=1))
        return
    from rich.console import Console

    console = Console()
    console.print(_score_table(scores))
    console.print(_class_table(scores))
    console.print(_confusion_table(scores, "Confusion, all images: rows are the annotation"))
    if scores["without_duplicates"]["n"] not in (0, scores["n"]):
        console.print(_confusion_table(scores["without_duplicates"], "Confusion, images without a twin"))


def _score_table(scores: dict[str, Any]) -> Table:
    from rich.markup import escape
    from rich.table import Table

    rest = scores["without_duplicates"]
    rule = f"; weights: {scores['selection']}" if scores["selection"] else ""
    views = "" if scores["views"] == "one" else f"; {scores['views']}"
    table = Table(
        "",
        title=escape(f"{scores['model']} on {scores['dataset']}, {scores['split']}{views}{rule}"),
        caption="Brackets: 95 % bootstrap intervals. Twin: a pixel-identical image in the training split.",
    )
    table.add_column("all images", justify="right")
    table.add_column("without twins", justify="right")
    table.add_row("images", str(scores["n"]), str(rest["n"]))
    for key, heading, is_share in MEASURES:
        table.add_row(heading, _measure(scores, key, is_share), _measure(rest, key, is_share))
    return table


def _measure(scores: dict[str, Any], key: str, is_share: bool) -> str:
    value = scores[key]
    if value is None:
        return NONE
    text, *bounds = (f"{100 * x:.2f}" if is_share else f"{x:.4f}" for x in (value, *scores["intervals"].get(key, ())))
    # the backslash keeps rich from reading the bracket as markup
    return f"{text}{' %' if is_share else ''}" + (f"  \\[{', '.join(bounds)}]" if bounds else "")


def _class_table(scores: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table("", title="Per class, in %")
    for heading in ("images", "recall", "precision", "F1", "recall without twins"):
        table.add_column(heading, justify="right")
    rest = scores["without_duplicates"]["per_class"] or {}
    for name, row in scores["per_class"].items():
        values = (row["recall"], row["precision"], row["f1"], rest.get(name, {}).get("recall"))
        table.add_row(name, str(row["n"]), *(NONE if v is None else f"{100 * v:.1f}" for v in values))
    return table


def _confusion_table(scores: dict[str, Any], title: str) -> Table:
    from rich.table import Table

    table = Table("", title=title)
    for name in scores["labels"]:
        table.add_column(name, justify="right")
    for i, (name, row) in enumerate(zip(scores["labels"], scores["confusion"], strict=True)):
        table.add_row(name, *(f"[bold]{count}[/bold]" if i == j else str(count) for j, count in enumerate(row)))
    return table
