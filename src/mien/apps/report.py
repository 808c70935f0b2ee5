"""`mien report`: writes one self-contained HTML page about a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.apps.plugin_files import PluginFiles, load_plugin_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# van der Maaten and Hinton 2008 recommend 5 to 50; few faces need less.
PERPLEXITY = 30.0
SEED = 0


def report(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder with run records, at any depth.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write index.html to.")] = Path("report"),
    data: Annotated[
        Path | None, typer.Option(help="Data set of the runs, to show faces of confident mistakes.")
    ] = None,
    plugin: PluginFiles = None,
) -> None:
    """Write an HTML report of a results folder.

    Shows scores, learning curves, confusion and calibration of all runs, side by side, and the figures of papers whose
    networks are among them. The page needs no network and no script. Files that cannot be read are named on standard
    error and left out.
    """
    from mien.evaluation.report.page import write_report

    load_plugin_files(plugin)

    def warn(line: str) -> None:
        typer.echo(f"warning: {' '.join(line.split())}", err=True)

    typer.echo(f"Report: {write_report(results, out, data, embed_features, warn)}")


def embed_features(features: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Map features (n, d) to the plane (n, 2) by t-SNE; the same features give the same positions on one machine.

    Starts from the first two principal components; needs four rows or more. Source: van der Maaten and Hinton,
    "Visualizing Data using t-SNE", JMLR 2008.
    """
    import numpy as np
    from sklearn.manifold import TSNE

    if not (features.std(axis=0) > 0).any():  # all the same: t-SNE would divide by zero
        return np.zeros((len(features), 2), dtype=np.float32)
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    init = "pca" if features.shape[1] >= 2 else "random"
    plane = TSNE(perplexity=perplexity, init=init, random_state=SEED, n_jobs=1).fit_transform(features)
    return np.asarray(plane)
