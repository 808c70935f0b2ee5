"""Writes docs/results/*.md: each paper's figures beside ours, the default model's scores, those of weights/, peers.

Of docs/protocol-audit.md it writes the measured section; the rest of that page is written by hand.

The pages are derived from the reported figures that ship with mien, the run records below results/, the other records
there, and the cards of the model files in weights/; nothing in them is typed by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import ROOT
from lab.comparison_pages import make_comparison_pages
from lab.default_page import make_default_page
from lab.paper_page import make_paper_page
from lab.peers.page import make_peers_page
from lab.practices import insert_practices
from lab.weights_page import make_weights_page
from mien.core.errors import DataError, MienError
from mien.evaluation.report.runs import Run, read_json, read_runs
from mien.evaluation.reported import PAPERS, load_reported
from mien.recipes.departures import Record

FOLDER = Path("docs") / "results"
AUDIT = Path("docs") / "protocol-audit.md"


def make_pages(root: Path) -> dict[str, str]:
    """Return the generated pages of a checkout by file name.

    Raises:
        DataError: A record is damaged, or the run of a file in weights/ is not committed.
    """
    results = root / "results"
    runs = _read_runs(results)
    names = ("robustness", "groups", "latency", "memory", "efficiency")
    measured = {name: _read_measured(results, name) for name in names}
    shipped = _read_shipped(root)
    pages = {f"{paper}.md": make_paper_page(paper, load_reported(), runs, measured["efficiency"]) for paper in PAPERS}
    pages |= make_comparison_pages(root / "lab" / "queue.toml", runs)
    pages["default.md"] = make_default_page(shipped, [run.record for run in runs], measured)
    if weights := sorted((root / "weights").glob("*.onnx")):
        pages["weights.md"] = make_weights_page(weights, runs)
    if peers := _read_measured(results, "peers"):
        pages["peers.md"] = make_peers_page(peers)
    return pages


def make_audit(root: Path) -> str:
    """Return the page on protocols with its measured section.

    Raises:
        DataError: A record is damaged, or the page lacks a mark.
    """
    records = [*(run.record for run in _read_runs(root / "results")), _read_shipped(root)]
    return insert_practices(_read(root / AUDIT), records, _read_measured(root / "results", "practices"))


def _read_shipped(root: Path) -> Record:
    return read_json(root / "src" / "mien" / "assets" / "default.json")


def _read_measured(folder: Path, name: str) -> Record:
    """Return a record other than those of runs; an empty one if it was not measured."""
    path = folder / f"{name}.json"
    return read_json(path) if path.exists() else {}


def _read_runs(folder: Path) -> tuple[Run, ...]:
    """Return all runs below a folder; unlike a report, a page must not leave any out."""
    problems: list[str] = []
    runs: tuple[Run, ...] = ()
    try:
        if any(folder.rglob("record.json")):
            runs = read_runs(folder, problems.append)
    except DataError as error:
        problems.append(str(error))
    if problems:
        raise DataError(problems[0].removeprefix("left out: "))
    return runs


def main(words: Sequence[str] | None = None) -> int:
    """Write the pages and name those that changed, or with --check name the stale ones; 1 if there are any."""
    parser = argparse.ArgumentParser(
        prog="python -m lab pages",
        description="Write docs/results/*.md, and the measured section of docs/protocol-audit.md.",
    )
    parser.add_argument("root", type=Path, nargs="?", default=ROOT, help="a checkout of mien [default: this one]")
    parser.add_argument("--check", action="store_true", help="only name stale pages; exit code 1 if there are any")
    options = parser.parse_args(words)
    root: Path = options.root
    try:
        pages = {FOLDER / name: text for name, text in make_pages(root).items()}
        if (root / AUDIT).exists():
            pages[AUDIT] = make_audit(root)
    except MienError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    stale = {path: text for path, text in pages.items() if _read(root / path) != text}
    for path, text in stale.items():
        print(f"{path} is stale; run: python -m lab pages" if options.check else path)
        if not options.check:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
    return int(options.check and bool(stale))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
