"""`mien data`: check a data set, start one of your own, draw one, or list what is recognized."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.core.errors import DataError
from mien.core.text import percent

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.check import DataReport

ALL_LABELS = "angry,disgust,fear,happy,sad,surprise,neutral"
# Written into a new data set's folder.
GUIDE = """\
# Label by folder

Put every image into the folder of the expression that the face *appears* to show: {labels}.
For example: {example}

1. One face per image, cropped loosely: the side of the frame is about 1.1 times the square root of the area of the
   face, from forehead to chin and from cheek to cheek. JPEG, PNG, WebP, BMP, GIF, TIFF or PPM; any size.
2. Let two people label independently, without seeing each other's choice, and leave out what they disagree on.
   Images without a clear expression belong in no folder.
3. No person may be in two of train, validation and test: otherwise the score measures how well people are
   remembered. Without these folders a fifth of each label is set aside for validation at random; make them with
   --splits if one person is in several images.
4. Use only images of people who agreed to it. Delete images when they ask you to.
5. Labels without images are left out.

Then check the data before training on them:

    mien data check {folder} --dataset folder
    mien train default --data {folder} --set data.dataset=folder --set data.ferplus_weight=0
"""

app = typer.Typer(
    help="Check a data set, start your own, draw one, or list what is recognized.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A data set's file or folder.")],
    dataset: Annotated[str | None, typer.Option(help="Read it as fer2013, folder ... [default: detected].")] = None,
    plugin: PluginFiles = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Count images, duplicates and label conflicts."""
    import dataclasses
    import json

    from rich.console import Console

    from mien.data import check as checks
    from mien.data import registry
    from mien.data.options import LoadOptions

    load_plugin_files(plugin)
    # Nothing is set aside: the report is about the data set's own splits.
    options = LoadOptions(validation_share=0)
    report = checks.check(registry.load(dataset or registry.detect(path), path, options))
    if as_json:
        typer.echo(json.dumps({"path": str(path)} | dataclasses.asdict(report)))
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    shape = " x ".join(map(str, report.image_shape))
    console.print(f"{path}: {report.name}, {report.n} images, read as {shape}")
    console.print(_counts_table(report))
    console.print("\n".join(_findings(report)))


@app.command(name="list")
def list_layouts(plugin: PluginFiles = None) -> None:
    """List the data sets and the files that each is read from."""
    from mien.data import registry

    load_plugin_files(plugin)
    for name in registry.names():
        typer.echo(f"{name}: {registry.expects(name)}")


@app.command()
def synthesize(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder to write to.")],
    per_class: Annotated[int, typer.Option(min=1, help="Training faces per label; a third for validation.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the drawing.")] = 0,
) -> None:
    """Draw cartoon faces as PNG files.

    They show seven expressions, in train/angry/0000.png and so on. The same seed draws the same faces.
    """
    import cv2

    from mien.data import synthetic
    from mien.data.options import LoadOptions

    _check_empty(folder)
    faces = synthetic.load(None, LoadOptions(seed=seed, faces_per_class=per_class))
    for number, (image, label, split) in enumerate(zip(faces.images, faces.labels, faces.splits, strict=True)):
        target = folder / str(split) / faces.label_set.names[label]
        target.mkdir(parents=True, exist_ok=True)
        (target / f"{number:04}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
    typer.echo(f"Wrote {len(faces)} drawn faces to {folder}.")


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new or empty folder to write to.")],
    labels: Annotated[str, typer.Option(help="Labels, separated by commas; any words.")] = ALL_LABELS,
    use_splits: Annotated[
        bool, typer.Option("--splits", help="Make train, validation and test, each with all labels.")
    ] = False,
) -> None:
    """Make label folders for your own data set.

    A README.md in the folder explains how to sort images into them.
    """
    import shlex

    from mien.core.expressions import LabelSet, tidy
    from mien.data.dataset import SPLITS

    words = [word for word in labels.split(",") if word.strip()]
    names = LabelSet.of(words).names
    if len(names) < 2:
        raise DataError(f"--labels '{labels}' names {len(names)} labels; expected two or more, as angry,happy.")
    _check_empty(folder)
    targets = [folder / split / name for split in (SPLITS if use_splits else ("",)) for name in names]
    example = (targets[0] / "1.jpg").relative_to(folder).as_posix()
    guide = GUIDE.format(labels=", ".join(names), example=example, folder=shlex.quote(str(folder)))
    try:
        for target in targets:
            target.mkdir(parents=True)
        (folder / "README.md").write_text(guide, encoding="utf-8")
    except OSError as error:
        raise DataError(f"{folder} cannot be made ({error.strerror or error}).") from None
    for word, name in zip(words, names, strict=True):
        if tidy(word).casefold() != name.casefold():
            typer.echo(f"note: label {tidy(word)} is read as {name}", err=True)
    typer.echo(f"Made {len(targets)} label folders and README.md in {folder}.")


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty; expected a new or empty folder.")


def _counts_table(report: DataReport) -> Table:
    from rich.table import Table

    table = Table("label")
    for split in (*report.counts, "all"):
        table.add_column(split, justify="right")
    rows = {label: [counts[label] for counts in report.counts.values()] for label in report.labels}
    rows["all"] = [sum(counts.values()) for counts in report.counts.values()]
    for label, row in rows.items():
        if label == "all":
            table.add_section()
        table.add_row(label, *map(str, row), str(sum(row)))
    return table


def _findings(report: DataReport) -> list[str]:
    """Return the findings, one per line."""
    from mien.core.expressions import misspelt

    lines = ["Exact duplicates:"]
    for pair in report.duplicates:
        n = sum(report.counts[pair.split].values())
        lines.append(
            f"  {pair.split}: {pair.duplicates} of {n} ({percent(pair.duplicates / n, 1)}) have a duplicate in "
            f"{pair.of_split}, {pair.conflicting} under another label"
        )
    lines.append(f"Constant images (all pixels equal): {report.constant}")
    if report.not_face is not None:
        lines.append(f"Images rejected as non-faces by annotators: {report.not_face}")
    lines.append(f"Votes of several annotators: {'yes' if report.has_votes else 'no'}")
    lines += [f"Label '{name}' is not '{near}': is it misspelt?" for name, near in misspelt(report.labels).items()]
    lines += [f"Note: {note}" for note in report.notes]
    lines.append(f"Fingerprint: {report.fingerprint}")
    return lines
