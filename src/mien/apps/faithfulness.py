"""`mien faithfulness`: measure whether explanation maps show what predictions depend on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mien.apps.data_sets import DataOption, DatasetOption, load_faces
from mien.apps.explain import ExplainedModel, Methods
from mien.apps.options import DetectorName, Threads
from mien.apps.plugin_files import PluginFiles, load_plugin_files
from mien.apps.progress import progress_bar
from mien.core.text import number, points


def faithfulness(  # noqa: PLR0913, PLR0917 - one parameter per option
    model: ExplainedModel,
    data: DataOption = None,
    dataset: DatasetOption = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    method: Methods = None,
    layer: Annotated[str | None, typer.Option(help="Stage to explain [default: the last].")] = None,
    faces: Annotated[int, typer.Option(min=1, help="Number of faces to measure on.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed that selects the faces and makes the random map.")] = 0,
    step: Annotated[float, typer.Option(min=0.001, max=1, help="Share of the pixels per step of the curves.")] = 0.05,
    replacement: Annotated[
        Literal["grey", "blur"] | None,
        typer.Option(
            metavar="grey|blur", help="Replace pixels by this [default: grey in deletion, blur in insertion]."
        ),
    ] = None,
    detector: DetectorName = "none",
    plugin: PluginFiles = None,
    stability: Annotated[bool, typer.Option(help="Also explain four shifted copies of each face.")] = True,
    sanity: Annotated[bool, typer.Option(help="Also randomize the weights and compare the maps.")] = True,
    threads: Threads = 1,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Also write the JSON record to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure whether explanation maps are right.

    Measures deletion and insertion curves, face regions, stability and a sanity check, for the predicted labels.
    For a run folder, the means are also stored in its record.json, where `mien report` reads them.

    Face regions are drawn around landmarks: those that --detector yunet finds in each face or, with another
    detector, those of a mean face.
    """
    load_plugin_files(plugin)
    import numpy as np

    from mien import __version__
    from mien.core.errors import DataError
    from mien.core.whole_file import write_json
    from mien.explain.assessment import add_to_record, assess, drop_faces, make_method, prepare_faces
    from mien.explain.curves import CurveSettings
    from mien.explain.faces import load_explainer
    from mien.inference.detectors.registry import create_detector
    from mien.recipes.record import RECORD

    if out is not None and not out.parent.is_dir():
        raise DataError(f"{out}: folder {out.parent} does not exist; create it first.")
    settings = CurveSettings(step, replacement or "grey", replacement or "blur", seed=seed)
    finder = None if detector == "none" else create_detector(detector)
    explainer = load_explainer(model, threads)
    names = dict.fromkeys(method or explainer.methods[:1])
    methods = [make_method(explainer, name, layer, use_stability=stability, use_sanity=sanity) for name in names]
    whole = load_faces(explainer.model, data, dataset)
    whole.require_split(split)
    order = np.random.default_rng(seed).permutation(np.flatnonzero(whole.splits == split))
    rows = np.sort(order[:faces])
    chosen = whole.subset(rows)
    prepared, accuracy = prepare_faces(explainer, chosen, finder)
    with progress_bar() as bar:
        task = bar.add_task("Maps", total=2 + len(methods))
        measured = assess(explainer.predict, methods, prepared, settings, lambda _: bar.advance(task))
    about = {
        "model": explainer.card.name,
        "network": explainer.card.network,
        "dataset": whole.name,
        "split": split,
        "fingerprint": chosen.fingerprint,
        "seed": seed,
        "accuracy": round(accuracy, 6),
        "version": __version__,
    }
    if out is not None:
        write_json(out, {**about, "rows": rows.tolist(), **measured})
    measured = about | drop_faces(measured)
    if Path(model, RECORD).is_file():
        add_to_record(Path(model, RECORD), measured)
    if as_json:
        typer.echo(json.dumps(measured, indent=1))
    else:
        _print(measured)


def _print(measured: dict[str, Any]) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    sources = ", ".join(f"{name} {n}" for name, n in measured["regions"]["from"].items())
    table = Table(
        "map",
        box=box.SIMPLE_HEAD,
        title=escape(f"{measured['model']} on {measured['dataset']}, {measured['split']}: {measured['n']} faces"),
        caption=f"Areas in %: smaller is better for deletion (to {measured['deletion_to']}), larger for insertion "
        f"(from {measured['insertion_from']}). - random, - centre: insertion minus that map's, and its 95 % interval. "
        "Shifted: correlation after a shift by one pixel. Randomized: rank correlation after all weights are shuffled. "
        f"Source of the face regions: {sources}.",
    )
    for heading in ("deletion", "insertion", "- random", "- centre", "shifted", "randomized"):
        table.add_column(heading, justify="right")
    for name, line in (measured["baselines"] | measured["methods"]).items():
        insertion, stability, stops = line["insertion"], line.get("stability"), line.get("sanity", {}).get("stops")
        gains = [(insertion.get(f"minus_{b}"), insertion.get(f"minus_{b}_interval")) for b in ("random", "centre")]
        table.add_row(
            escape(name),
            points(line["deletion"]["area"], 1),
            points(insertion["area"], 1),
            *(escape(points(gain, 1, interval)) for gain, interval in gains),
            number(stability["correlation"] if stability else None, 2),
            number(stops[-1]["spearman"] if stops else None, 2),
        )
    Console().print(table)
    areas = measured["regions"]["area"]
    table = Table("map", box=box.SIMPLE_HEAD, title="Share of the evidence, in %")
    for name in areas:
        table.add_column(name, justify="right")
    table.add_row("(share of the pixels)", *(points(share, 0) for share in areas.values()))
    for name, line in measured["methods"].items():
        shares = line["regions"] or dict.fromkeys(areas)
        table.add_row(escape(name), *(points(share, 0) for share in shares.values()))
    Console().print(table)
