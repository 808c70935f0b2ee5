"""`mien data`: look a data set over, or draw one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.check import DataReport
    from mien.data.dataset import FaceDataset

app = typer.Typer(
    help="Look a data set over before training, or draw one.",
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
    from mien.core.errors import DataError
    from mien.data import registry

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is not empty; expected a new or empty folder, so that nothing is mixed up.")
    options = registry.LoadOptions(seed=seed, faces_per_class=per_class)
    faces = registry.load("synthetic", None, options)
    _write_faces(faces, folder)
    typer.echo(f"Wrote {len(faces)} drawn faces to {folder}.")


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
