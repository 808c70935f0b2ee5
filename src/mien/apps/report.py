"""`mien report`: one self-contained HTML page about a folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.evaluation.report.sections import Embed

# van der Maaten and Hinton 2008 find 5 to 50 reasonable; few faces need less.
PERPLEXITY = 30.0
SEED = 0


def report(
    results: Annotated[Path, typer.Argument(help="Folder with run records, at any depth.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder that index.html is written to.")] = Path("report"),
    data: Annotated[Path | None, typer.Option(help="Data set of the runs: shows faces of confident mistakes.")] = None,
) -> None:
    """Write one HTML page about all runs of a folder: reported beside ours, curves, confusion, calibration.

    The page needs no network and no script. What a folder does not hold is left out; what cannot be read is named on
    standard error.
    """
    from mien.evaluation.report.page import Sources, write_report

    sources = Sources(data=data, embed=_embedding(results))
    path = write_report(results, out, sources, lambda line: typer.echo(f"warning: {' '.join(line.split())}", err=True))
    typer.echo(f"Report: {path}")


def _embedding(results: Path) -> Embed | None:
    """Return what brings features to the plane; None, with a word where it is missed, without scikit-learn."""
    try:
        import sklearn.manifold  # noqa: F401
    except ModuleNotFoundError:
        from mien.core.errors import MissingExtraError

        if any(results.rglob("features.npz")):
            typer.echo(f"warning: {MissingExtraError('The figure of the features (t-SNE)', 'train')}", err=True)
        return None
    return embed_features


def embed_features(features: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    """Bring features (n, d) to the plane (n, 2) by t-SNE; the same features give the same positions on one machine.

    Source: van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 2008. Starts from the first two principal
    components; needs four rows or more.
    """
    import numpy as np
    from sklearn.manifold import TSNE

    spread = features.std(axis=0)
    if not (spread > 0).any():  # all the same: every direction is as good as any other
        return np.zeros((len(features), 2), dtype=np.float32)
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    # a start from principal components needs two of them
    init = "pca" if features.shape[1] >= 2 else "random"
    plane = TSNE(perplexity=perplexity, init=init, random_state=SEED, n_jobs=1).fit_transform(features)
    return np.asarray(plane)
