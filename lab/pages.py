"""Writes docs/results/*.md: each paper's figures beside ours, the default model's scores, and those of weights/.

The pages are derived from the reported figures that ship with mien, the run records below results/, the other records
there, and the cards of the model files in weights/; nothing in them is typed by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lab import ROOT
from lab.default_page import make_default_page
from lab.paper_page import make_paper_page
from lab.weights_page import make_weights_page
from mien.core.errors import DataError, MienError
from mien.evaluation.report.runs import Run, read_json, read_runs
from mien.evaluation.reported import PAPERS, load_reported

FOLDER = Path("docs") / "results"


def make_pages(root: Path) -> dict[str, str]:
    """Return the generated pages of a checkout by file name.

    Raises:
        DataError: A record is damaged, or the run of a file in weights/ is not committed.
    """
    results = root / "results"
    runs = _read_runs(results)
    measured = {
        name: read_json(results / f"{name}.json") if (results / f"{name}.json").exists() else {}
        for name in ("robustness", "groups", "latency", "memory")
    }
    shipped = read_json(root / "src" / "mien" / "assets" / "default.json")
    pages = {f"{paper}.md": make_paper_page(paper, load_reported(), runs) for paper in PAPERS}
    pages["default.md"] = make_default_page(shipped, [run.record for run in runs], measured)
    if weights := sorted((root / "weights").glob("*.onnx")):
        pages["weights.md"] = make_weights_page(weights, runs)
    return pages


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
    parser = argparse.ArgumentParser(prog="python -m lab pages", description="Write docs/results/*.md.")
    parser.add_argument("root", type=Path, nargs="?", default=ROOT, help="a checkout of mien [default: this one]")
    parser.add_argument("--check", action="store_true", help="only name stale pages; exit code 1 if there are any")
    options = parser.parse_args(words)
    folder = options.root / FOLDER
    try:
        pages = make_pages(options.root)
    except MienError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    stale = {name: text for name, text in pages.items() if _read(folder / name) != text}
    for name, text in stale.items():
        print(f"{FOLDER / name} is stale; run: python -m lab pages" if options.check else FOLDER / name)
        if not options.check:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
    return int(options.check and bool(stale))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""
