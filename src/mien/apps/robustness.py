"""`mien robustness`: how much accuracy a model keeps in bad light, behind a mask, from far away ..."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.evaluation.robustness import Robustness
    from mien.inference.model import ExpressionModel

SUFFIXES = (".png", ".svg")
COLUMNS = 4  # panels of the figure in one row


def robustness(  # noqa: PLR0913, PLR0917 - one parameter an option
    model: Annotated[str, typer.Argument(help="Model by name, or an .onnx file.")],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set by name [default: what --data holds].")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    only: Annotated[list[str] | None, typer.Option(help="One corruption [default: all]. Repeatable.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the corruptions.")] = 0,
    threads: Annotated[int, typer.Option(help="CPU threads.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the JSON record to this file.")] = None,
    figure: Annotated[
        list[Path] | None, typer.Option(help="Also draw the curves to this .png or .svg file. Repeatable.")
    ] = None,
) -> None:
    """Score a model on spoilt copies of a data set's faces: accuracy kept per corruption and severity."""
    import json

    from mien.apps.evaluate import load_faces
    from mien.inference.model import ExpressionModel

    figures = figure or []
    _check_outputs([*figures, *([out] if out else [])], figures)
    loaded = ExpressionModel.load(model, threads=threads)
    measured = _measure(loaded, load_faces(loaded, data, dataset), split, only, seed)
    record = json.dumps(measured.to_json(), indent=1)
    if out is not None:
        out.write_text(record + "\n", encoding="utf-8")
    for path in figures:
        _draw(measured, path)
    if as_json:
        typer.echo(record)
        return
    _print_table(measured)


def _check_outputs(paths: list[Path], figures: list[Path]) -> None:
    """Refuse before the minutes of work what could not be written after them."""
    from mien.core.errors import DataError, MissingExtraError

    for path in paths:
        if not path.parent.is_dir():
            raise DataError(f"No folder {path.parent} for {path.name}; make it first.")
    for path in figures:
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"--figure {path}: expected a file that ends in {' or '.join(SUFFIXES)}.")
    if figures:
        try:
            import matplotlib as mpl  # noqa: F401
        except ModuleNotFoundError:
            raise MissingExtraError("--figure", "train") from None


def _measure(model: ExpressionModel, faces: FaceDataset, split: str, only: list[str] | None, seed: int) -> Robustness:
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    from mien.data.duplicates import duplicate_mask
    from mien.evaluation.corruptions import CORRUPTIONS, SEVERITIES
    from mien.evaluation.robustness import measure_robustness

    names = only or list(CORRUPTIONS)
    chosen = faces.split(split)
    rows = np.flatnonzero(faces.splits == split)
    # standard output is for results
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Faces", total=len(chosen) * (1 + len(names) * len(SEVERITIES)))
        return measure_robustness(
            model,
            chosen,
            duplicate_mask(faces)[rows],
            rows=rows,
            names=names,
            seed=seed,
            progress=lambda done: bar.advance(task, done),
        )


def _print_table(measured: Robustness) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    accuracy = f"{100 * measured.clean.accuracy:.2f} %"
    table = Table(
        "corruption",
        title=escape(
            f"{measured.model} on {measured.dataset}, {measured.split}: clean {accuracy} of {measured.n} faces"
        ),
        caption="Accuracy kept, in % of the clean accuracy; severity 1 (mild) to 5.",
    )
    for heading in (*map(str, range(1, 6)), "mean"):
        table.add_column(heading, justify="right")
    for name, curve in measured.corruptions.items():
        table.add_row(name, *(_percent(value) for value in (*(point.kept for point in curve.points), curve.kept)))
    table.add_row("mean", *[""] * 5, _percent(measured.kept), style="bold")
    Console().print(table)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _draw(measured: Robustness, path: Path) -> None:
    """Draw one panel a corruption: accuracy against severity, the clean accuracy at 0. The same file on every run."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    curves = measured.corruptions
    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    with mpl.rc_context({"svg.hashsalt": "mien", "font.size": 9}):
        figure = Figure(figsize=(2.6 * columns + 0.6, 2.1 * rows + 0.8), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axis, (name, curve) in zip(axes, curves.items(), strict=False):
            values = [100 * point.accuracy for point in (measured.clean, *curve.points)]
            axis.plot(range(len(values)), values, marker="o", markersize=3.5, color="#0072B2")
            axis.axhline(values[0], linewidth=0.8, linestyle=":", color="#555555")
            axis.set_title(f"{name.replace('_', ' ')}: {_percent(curve.kept)} % kept", fontsize=9)
            axis.set_ylim(0, 100)
            axis.set_xticks(range(len(values)))
            axis.grid(alpha=0.25)
        for axis in axes[len(curves) :]:
            axis.set_axis_off()
        figure.supxlabel("severity (0: clean)", fontsize=9)
        figure.supylabel("accuracy, %", fontsize=9)
        figure.suptitle(f"{measured.model} on {measured.dataset}, {measured.split}", fontsize=10, parse_math=False)
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix.lower() == ".svg" else None)
