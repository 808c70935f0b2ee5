"""`mien data`: look a data set over, start one of your own, or draw one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.core.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.check import DataReport
    from mien.data.dataset import FaceDataset

ALL_LABELS = "angry,disgust,fear,happy,sad,surprise,neutral"
# Written into a new data set's folder; {labels}, {layout}, {apart} and {folder} are filled in.
GUIDE = """\
# Label by folder

Put every picture into the folder of the expression that the face *appears* to show: {labels}.

    {layout}

1. One face a picture, cut loosely: the frame is about 1.1 times the square root of the face's area, forehead to chin
   and cheek to cheek. JPEG, PNG, WebP, BMP, GIF, TIFF or PPM; any size.
2. Let two people label independently, without seeing each other's choice, and leave out what they disagree on.
   What nobody can name does not belong in any folder.
3. {apart}
4. Only pictures of people who agreed to it. Delete what they ask you to delete.
5. A label without pictures is left out. Words other than the eight expressions that mien knows are an error.

Then look at what you have, before anything is trained on it:

    mien data check {folder} --dataset folder
    mien train default --data {folder} --set data.dataset=folder --set data.ferplus_weight=0
"""
WITH_SPLITS = (
    "No person may stand in two of train, validation and test: else the score says how well people are remembered."
)
WITHOUT_SPLITS = (
    "A fifth of each label is set aside for validation at random. Where one person is in several pictures, make\n"
    "   the folders with --splits instead and keep each person in one of them."
)

app = typer.Typer(
    help="Look a data set over before training, start one of your own, or draw one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def check(
    path: Annotated[Path, typer.Argument(help="A data set's file or folder.")],
    dataset: Annotated[
        str | None, typer.Option(help="How to read it, e.g. fer2013 or folder; found out by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count images per label and split, duplicates, contradicting labels and constant images."""
    import json

    from rich.console import Console

    from mien.data import registry
    from mien.data.check import check as check_dataset

    # Nothing is set aside: the report is about the splits that the data set has itself.
    options = registry.LoadOptions(validation_share=0)
    report = check_dataset(registry.load(dataset or registry.detect(path), path, options))
    if as_json:
        typer.echo(json.dumps({"path": str(path)} | report.to_json()))
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    shape = " x ".join(map(str, report.image_shape))
    console.print(f"{path}: {report.name}, {report.n} images, read as {shape}")
    console.print(_counts_table(report))
    for line in _findings(report):
        console.print(line)


@app.command()
def synthesize(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder to write to.")],
    per_class: Annotated[int, typer.Option(help="Training faces per label; a third as many for validation.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed draws the same faces.")] = 0,
) -> None:
    """Draw cartoon faces with seven expressions, as PNG files train/angry/0000.png and so on."""
    from mien.data import registry

    _check_empty(folder)
    options = registry.LoadOptions(seed=seed, faces_per_class=per_class)
    faces = registry.load("synthetic", None, options)
    _write_faces(faces, folder)
    typer.echo(f"Wrote {len(faces)} drawn faces to {folder}.")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder to write to.")],
    labels: Annotated[str, typer.Option(help="Expressions, with commas between.")] = ALL_LABELS,
    use_splits: Annotated[
        bool, typer.Option("--splits", help="Make train, validation and test, each with all labels.")
    ] = False,
) -> None:
    """Make a folder per label for a data set of your own, with a short guide to labelling by folder."""
    import shlex

    from mien.core.expressions import LabelSet
    from mien.data.dataset import SPLITS

    names = LabelSet.of([word for word in labels.split(",") if word.strip()]).names
    if len(names) < 2:
        raise DataError(f"--labels '{labels}' names {len(names)} labels; two or more are expected, as angry,happy.")
    _check_empty(folder)
    parents = SPLITS if use_splits else ("",)
    for parent in parents:
        for name in names:
            _make_folder(folder / parent / name)
    guide = GUIDE.format(
        labels=", ".join(names),
        layout="\n    ".join("/".join(filter(None, (parent, names[0], "1.jpg"))) for parent in parents),
        apart=WITH_SPLITS if use_splits else WITHOUT_SPLITS,
        folder=shlex.quote(str(folder)),
    )
    (folder / "README.md").write_text(guide, encoding="utf-8")
    typer.echo(f"Made {len(parents) * len(names)} label folders and README.md in {folder}.")


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty; expected a new or empty folder, so that nothing is mixed up.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be made ({error.strerror or error}).") from None


def _write_faces(faces: FaceDataset, folder: Path) -> None:
    import cv2

    written: dict[Path, int] = {}
    for image, label, split in zip(faces.images, faces.labels, faces.splits, strict=True):
        target = folder / str(split) / faces.label_set.names[label]
        target.mkdir(parents=True, exist_ok=True)
        number = written.get(target, 0)
        (target / f"{number:04}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
        written[target] = number + 1


def _counts_table(report: DataReport) -> Table:
    from rich.table import Table

    table = Table("label")
    for split in (*report.counts, "all"):
        table.add_column(split, justify="right")
    for label in report.labels:
        row = [counts[label] for counts in report.counts.values()]
        table.add_row(label, *map(str, row), str(sum(row)))
    totals = [sum(counts.values()) for counts in report.counts.values()]
    table.add_section()
    table.add_row("all", *map(str, totals), str(sum(totals)))
    return table


def _findings(report: DataReport) -> list[str]:
    """Return what was found, a line each."""
    lines = ["Pixel-identical images:"]
    for count in report.twins:
        n = sum(report.counts[count.split].values())
        lines.append(
            f"  {count.split}: {count.twins} of {n} ({count.twins / n:.1%}) have a twin in {count.of_split},"
            f" {count.conflicting} under another label"
        )
    lines.append(f"Constant images (all pixels equal): {report.constant}")
    if report.not_face is not None:
        lines.append(f"Images that annotators call no face: {report.not_face}")
    lines.append(f"Several annotators' votes: {'yes' if report.has_votes else 'no'}")
    lines.append(f"Fingerprint: {report.fingerprint}")
    return lines
