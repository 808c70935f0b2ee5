"""`mien evaluate` and `mien score`: score a model on a data set."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.data_sets import DataOption, DatasetOption, load_faces, show_progress
from mien.apps.options import AsJson, Threads, ViewsName
from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    from mien.core.card import ModelCard
    from mien.data.dataset import FaceDataset
    from mien.evaluation.predictions import Predictions
    from mien.inference.model import OnnxModel


def evaluate(  # noqa: PLR0913, PLR0917 - one parameter per option
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help="Model by name, .onnx file or run folder; several: an ensemble."),
    ],
    data: DataOption = None,
    dataset: DatasetOption = None,
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SPLIT",
            help="train, validation, test or all [default: validation; all if the data are not divided].",
        ),
    ] = None,
    labels_of_data: Annotated[
        bool,
        typer.Option("--labels-of-data", help="Leave out the model's labels that the data lack (flatters the model)."),
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder to write the predictions file to.")] = Path(),
    views: ViewsName = "one",
    measure: Annotated[bool, typer.Option("--measure", help="Also measure each image: see `mien score --by`.")] = False,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With --measure: draw faces of each feature group to a .png or .jpg."),
    ] = None,
    threads: Threads = 1,
    plot: Annotated[bool, typer.Option("--plot", help="Also draw confusion and reliability, as PNG.")] = False,
    plugin: PluginFiles = None,
    as_json: AsJson = False,
) -> None:
    """Score a model, or the mean of several, on a data set.

    Scores the split twice: all images, and those without a duplicate in the training split. Writes a predictions file,
    which `mien score` reads, to --out (default: current folder). Its name is predictions-MODEL-DATASET-SPLIT.npz. MODEL
    includes the ablation and the seed of the training run; DATASET includes the folder's name if the data are a folder
    of your own. An ensemble averages its members' probabilities.
    """
    from mien.apps.score_tables import show_members, show_scores
    from mien.core.errors import DataError
    from mien.evaluation.detector_sheet import check_sheet
    from mien.evaluation.ensemble import average, describe_members, short_name
    from mien.evaluation.plain_argmax import score_plain_argmax
    from mien.evaluation.predict import predict_split
    from mien.evaluation.scores import score as compute_scores
    from mien.inference.model import OnnxModel
    from mien.inference.views import check_views

    if sheet is not None:
        if not measure:
            raise DataError(f"--sheet {sheet} shows the groups of --measure; give both.")
        check_sheet(sheet)
    load_plugin_files(plugin)
    if plot:
        from mien.evaluation.report.charts import save_scores  # imports matplotlib, which may be missing
    chosen_views = check_views(views)
    members, pairs, name = [], [], ""
    for loaded in [OnnxModel.load(model, threads=threads) for model in models]:
        faces = load_faces(loaded, data, dataset)
        split = split or _default_split(loaded.card, faces)
        faces.require_split(split)
        out.mkdir(parents=True, exist_ok=True)  # fails before the work, not after it
        with show_progress(int(faces.in_split(split).sum()), loaded.card.name) as progress:
            how: dict[str, Any] = {"views": chosen_views, "labels_of_data": labels_of_data, "progress": progress}
            members.append(predict_split(loaded, faces, split, **how))
        pairs.append((loaded, faces))
        name = _name_of(loaded.card.name, loaded.card.recipe)
    predictions, of_members = members[0], {}
    if len(members) > 1:
        predictions, of_members = average(members), {"members": describe_members(members)}
        name = short_name(predictions, len(members))
    if measure:
        predictions = _measured(predictions, *pairs[0], split or "", sheet)
    path = out / _file_name(name, predictions)
    replaced = ", in place of those of other images" if _holds_other_images(path, predictions) else ""
    predictions.save(path)
    scores = compute_scores(predictions) | of_members
    scores |= score_plain_argmax(pairs, split or "", predictions, views=chosen_views)
    if as_json:
        typer.echo(json.dumps(scores, indent=1))
    else:
        show_scores(scores)
        show_members(**of_members)
    typer.echo(f"Predictions: {path}{replaced}", err=True)
    if plot:
        save_scores(predictions, path.with_suffix(".png"))
        typer.echo(f"Chart: {path.with_suffix('.png')}", err=True)
    is_own = any(_was_trained_on(model, own) for model, (_, own) in zip(models, pairs, strict=True))
    _say_what_was_scored(faces, split or "", len(predictions), is_own=is_own)


def _measured(
    predictions: Predictions, model: OnnxModel, faces: FaceDataset, split: str, sheet: Path | None
) -> Predictions:
    """Return the predictions with columns for measures of the images and the groups of the model's features."""
    import dataclasses

    from mien.evaluation.image_groups import FEATURE_GROUP, describe_images, save_group_sheet
    from mien.inference.detectors.registry import AUTO, create_detector

    chosen = faces.split(split)
    with show_progress(len(chosen), "measures") as progress:
        columns = describe_images(model, chosen, create_detector(AUTO), progress)
    if sheet is not None:
        save_group_sheet(sheet, chosen.images, columns[FEATURE_GROUP])
    return dataclasses.replace(predictions, metadata={**predictions.metadata, **columns})


def _say_what_was_scored(faces: FaceDataset, split: str, n: int, *, is_own: bool) -> None:
    from mien.core.text import count

    for note in faces.notes:
        typer.echo(f"note: {note}", err=True)
    if faces.is_drawn:
        which = "all" if split == "all" else f"split '{split}', drawn from {count(len(faces), 'image')}"
        typer.echo(f"The data are not divided: scored {count(n, 'image')} ({which}). See --split.", err=True)
    if is_own and split in ("train", "all"):
        typer.echo("note: the model was trained on images of this split, so these scores do not test it.", err=True)
    if "train" not in faces.split_names:
        typer.echo("The data have no training split, so no duplicates in it could be found.", err=True)


def score(  # noqa: PLR0913, PLR0917 - one parameter per option
    predictions: Annotated[
        Path, typer.Argument(metavar="PREDICTIONS", help="File of `mien evaluate`, or a run folder.")
    ],
    by: Annotated[str | None, typer.Option(help="Also score each group of this column, such as subject.")] = None,
    smallest: Annotated[int, typer.Option(help="Minimum images of a group that counts for the largest gap.")] = 30,
    calibrate: Annotated[
        str | None,
        typer.Option(metavar="half|FILE", help="Also fit a temperature, on one half or on another predictions file."),
    ] = None,
    ferplus: Annotated[
        Path | None, typer.Option(help="Also compare with FER+'s majorities: folder with fer2013.csv, fer2013new.csv.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a predictions file.

    Needs neither the model nor the images.
    """
    from mien.apps import score_tables
    from mien.evaluation.predictions import Predictions
    from mien.evaluation.scores import score as compute_scores
    from mien.evaluation.scores import score_calibrated
    from mien.evaluation.slices import score_slices

    loaded = Predictions.load(predictions)
    scores = compute_scores(loaded)
    more: dict[str, Any] = {}
    if by is not None:
        more["slices"] = score_slices(loaded, by, smallest)
    if calibrate is not None:
        more["calibrated"] = score_calibrated(loaded, None if calibrate == "half" else Predictions.load(calibrate))
    if ferplus is not None:
        more["agreement"] = _agreement(loaded, ferplus)
    if as_json:
        typer.echo(json.dumps({**scores, **more}, indent=1))
        return
    score_tables.show_scores(scores)
    for name, content in more.items():
        getattr(score_tables, f"show_{name}")(content)


def _default_split(card: ModelCard, faces: FaceDataset) -> str:
    """Return the validation split, or all images if they are not divided and the model was not trained on them."""
    is_divided = "validation" in faces.split_names and ("test" in faces.split_names or not faces.is_drawn)
    was_trained_here = card.recipe.get("data", {}).get("dataset") == faces.name
    return "validation" if is_divided or was_trained_here else "all"


def _was_trained_on(model: str, faces: FaceDataset) -> bool:
    """Return whether a run folder's record names exactly these data; of other models this is not known."""
    from mien.core.errors import MienError
    from mien.inference.model_files import RECORD
    from mien.recipes.record import RunRecord

    try:
        return bool(RunRecord.load(Path(model) / RECORD).data.get("fingerprint") == faces.fingerprint)
    except (OSError, MienError):  # no run folder, or a record that the scores do not need
        return False


def _agreement(predictions: Predictions, data: Path) -> dict[str, Any]:
    from mien.data import fer2013
    from mien.evaluation.agreement import measure_agreement

    source = fer2013.locate(data)
    rows = fer2013.read_rows(source)
    return measure_agreement(predictions, fer2013.read_counts(source, rows), rows.emotions)


def _name_of(model: str, recipe: Mapping[str, Any]) -> str:
    """Return a name that tells runs apart: a recipe's ablations and seeds share the model's name."""
    seed = recipe.get("training", {}).get("seed")
    return "-".join(part for part in (model, recipe.get("ablation"), f"seed{seed}" if seed else None) if part)


def _holds_other_images(path: Path, predictions: Predictions) -> bool:
    """Return whether a file that will be replaced has predictions of other images: folders may share their name."""
    from mien.core.errors import DataError
    from mien.evaluation.predictions import Predictions

    if not path.exists():
        return False
    try:
        return Predictions.load(path).fingerprint != predictions.fingerprint
    except DataError:
        return False


def _file_name(name: str, predictions: Predictions) -> str:
    import re

    parts = ["predictions", name, predictions.data_title, predictions.split]
    parts += [predictions.views] if predictions.views != "one" else []
    return "-".join(re.sub(r"[^\w.]+", "-", part).strip("-") for part in parts) + ".npz"
