"""`mien faithfulness`: does a method's map show what the network's answer hangs on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.explain.assessment import Assessment, Faces, Method
    from mien.explain.faithfulness import CurveSettings
    from mien.explain.methods import Explainer

NONE = "-"


def faithfulness(  # noqa: PLR0913, PLR0917 - one parameter an option
    model: Annotated[str, typer.Argument(help="Run folder for all methods; a model's name or .onnx for occlusion.")],
    data: Annotated[Path | None, typer.Option(help="Folder or file of the data set.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Data set by name [default: what --data holds].")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    method: Annotated[
        list[str] | None, typer.Option(help="A method of `mien explain` [default: its first]. Repeatable.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Stage that the methods look at [default: the last].")] = None,
    faces: Annotated[int, typer.Option(min=1, help="How many faces to measure on.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Draws the faces and the random map.")] = 0,
    step: Annotated[float, typer.Option(help="Share of the pixels that a step of the curves takes.")] = 0.05,
    replacement: Annotated[
        str | None,
        typer.Option(
            metavar="grey|blur", help="What stands in for pixels [default: deletion grey, insertion from blur]."
        ),
    ] = None,
    detector: Annotated[
        str, typer.Option(metavar="auto|yunet|none", help="Finds landmarks for the face's parts; none: a mean face's.")
    ] = "auto",
    stability: Annotated[bool, typer.Option(help="Explain four shifted copies of every face too.")] = True,
    sanity: Annotated[bool, typer.Option(help="Randomise the weights and look whether the maps change.")] = True,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the JSON record to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure explanation maps: deletion and insertion, parts of the face, stability, and a sanity check.

    Maps are of the label that the network predicts. Of a run folder, the means go into its record.json too, and
    from there into `mien report`.
    """
    import json

    from mien.apps.evaluate import load_faces
    from mien.core.errors import DataError
    from mien.explain.faithfulness import CurveSettings
    from mien.explain.methods import load_explainer
    from mien.explain.records import add_to_record
    from mien.explain.subjects import measured_method
    from mien.recipes.record import RECORD

    if out is not None and not out.parent.is_dir():
        raise DataError(f"No folder {out.parent} for {out.name}; make it first.")
    settings = _settings(CurveSettings(step=step, seed=seed), replacement)
    explainer = load_explainer(model, threads)
    names = list(dict.fromkeys(method or explainer.methods[:1]))
    methods = [
        measured_method(explainer, name, _layer_of(name, layer), use_stability=stability, use_sanity=sanity)
        for name in names
    ]
    chosen, rows = _choose(load_faces(explainer.model, data, dataset), split, faces, seed)
    subject, right = _subject(explainer, chosen, detector)
    assessment = _assess(explainer, methods, subject, settings)
    about = _about(explainer, chosen, seed, right)
    if out is not None:
        record = {**about, "rows": rows, **assessment.to_json()}
        out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    measured = {**about, **assessment.to_json(use_faces=False)}
    if Path(model, RECORD).is_file():
        add_to_record(Path(model, RECORD), measured)
    if as_json:
        typer.echo(json.dumps(measured, indent=1))
        return
    _print(measured)


def _settings(settings: CurveSettings, replacement: str | None) -> CurveSettings:
    from dataclasses import replace

    from mien.explain.baselines import check_replacement

    if replacement is None:
        return settings
    chosen = check_replacement(replacement)
    return replace(settings, deletion=chosen, insertion=chosen)


def _layer_of(method: str, layer: str | None) -> str | None:
    """Return the layer for the methods that look at one; for the others the picture itself is measured."""
    from mien.explain.methods import PARTS, STAGE_METHODS

    return layer if method in (*STAGE_METHODS, PARTS) else None


def _choose(dataset: FaceDataset, split: str, count: int, seed: int) -> tuple[FaceDataset, list[int]]:
    """Draw faces of a split blindly; also return their row numbers in the whole data set."""
    import numpy as np

    part = dataset.split(split)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(part))[:count])
    return part.subset(chosen), np.flatnonzero(dataset.splits == split)[chosen].tolist()


def _subject(explainer: Explainer, chosen: FaceDataset, detector: str) -> tuple[Faces, float]:
    """Return the faces with the labels that the network predicts, and the share that it gets right."""
    import numpy as np

    from mien.core.image import to_batch
    from mien.explain.assessment import Faces
    from mien.explain.regions import find_landmarks
    from mien.inference.detectors.registry import create_detector

    finder = None if detector == "none" else create_detector(detector)
    landmarks = [None if finder is None else find_landmarks(face, finder) for face in chosen.images]
    images = to_batch(list(chosen.images), explainer.card.input)
    labels = np.asarray(explainer.predict(images).argmax(axis=1), dtype=np.int64)
    annotated = [chosen.label_set.names[number] for number in chosen.labels]
    right = np.mean([explainer.labels[label] == name for label, name in zip(labels, annotated, strict=True)])
    return Faces.of(images, labels, landmarks), float(right)


def _assess(explainer: Explainer, methods: list[Method], faces: Faces, settings: CurveSettings) -> Assessment:
    from rich.console import Console
    from rich.progress import Progress

    from mien.explain.assessment import assess

    # standard output is for results
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Maps", total=2 + len(methods))
        return assess(explainer.predict, methods, faces, settings, lambda _: bar.advance(task))


def _about(explainer: Explainer, chosen: FaceDataset, seed: int, right: float) -> dict[str, Any]:
    import mien

    return {
        "model": explainer.card.name,
        "network": explainer.card.network,
        "dataset": chosen.name,
        "split": str(chosen.splits[0]),
        "fingerprint": chosen.fingerprint,
        "seed": seed,
        "accuracy": round(right, 6),
        "version": mien.__version__,
    }


def _print(measured: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    sources = ", ".join(f"{n} {name}" for name, n in measured["regions"]["from"].items())
    table = Table(
        "map",
        box=box.SIMPLE_HEAD,
        title=escape(f"{measured['model']} on {measured['dataset']}, {measured['split']}: {measured['n']} faces"),
        caption=f"Areas in %: deletion small is good, insertion large is good (to {measured['deletion_to']}, from "
        f"{measured['insertion_from']}); insertion also less the baselines', with 95 % intervals. Shifted: correlation "
        f"after one pixel. Randomised: rank correlation after all weights were shuffled. Parts of the face: {sources}.",
    )
    for heading in ("deletion", "insertion", "- random", "- centre", "shifted", "randomised"):
        table.add_column(heading, justify="right")
    for name, line in (measured["baselines"] | measured["methods"]).items():
        table.add_row(escape(name), *_cells(line))
    console.print(table)
    console.print(_region_table(measured))


def _cells(line: dict[str, Any]) -> list[str]:
    insertion, stops = line["insertion"], line.get("sanity", {}).get("stops")
    gains = (
        _percent(insertion.get(f"minus_{baseline}"), insertion.get(f"minus_{baseline}_interval"))
        for baseline in ("random", "centre")
    )
    stability = line.get("stability")
    return [
        _percent(line["deletion"]["area"]),
        _percent(insertion["area"]),
        *gains,
        f"{stability['correlation']:.2f}" if stability else NONE,
        f"{stops[-1]['spearman']:.2f}" if stops else NONE,
    ]


def _region_table(measured: dict[str, Any]) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    areas = measured["regions"]["area"]
    table = Table("map", box=box.SIMPLE_HEAD, title="Share of the evidence, in %")
    for name in areas:
        table.add_column(name, justify="right")
    table.add_row("(share of the pixels)", *(f"{100 * share:.0f}" for share in areas.values()))
    for name, line in measured["methods"].items():
        shares = line["regions"] or dict.fromkeys(areas)
        cells = (NONE if share is None else f"{100 * share:.0f}" for share in shares.values())
        table.add_row(escape(name), *cells)
    return table


def _percent(value: float | None, interval: list[float] | None = None) -> str:
    if value is None:
        return NONE
    # the backslash keeps rich from reading the bracket as markup
    bounds = f" \\[{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else ""
    return f"{100 * value:.1f}{bounds}"
