"""Loading a data set for a model: the options, the loading and the progress bar that commands share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.apps.progress import progress_bar

if TYPE_CHECKING:
    from mien.data.dataset import FaceDataset
    from mien.inference.model import Model

DataOption = Annotated[Path | None, typer.Option(metavar="PATH", help="Folder or file of the data set.")]
DatasetOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Data set by name [default: what --data holds].")
]


def load_faces(model: Model, data: Path | None, dataset: str | None) -> FaceDataset:
    """Load a data set in a model's input size, channels and crop; without `dataset`, the data set that `data` holds.

    Warns if the model was trained under another division of the same data set.
    """
    from mien.core.errors import DataError
    from mien.data.options import LoadOptions
    from mien.data.registry import detect, load

    if dataset is None:
        if data is None:
            raise DataError("Name the data with --data PATH, or with --dataset a data set that needs none.")
        dataset = detect(data)
    trained = model.card.recipe.get("data", {})
    is_divided_anew = trained.get("protocol", "official") != "official" or trained.get("validation_from")
    if trained.get("dataset") == dataset and is_divided_anew:
        typer.echo(
            f"note: '{model.card.name}' was trained under another division of {dataset}; these images may have been "
            "used to train it or to select its weights.",
            err=True,
        )
    spec = model.card.input
    frames = trained.get("frames", LoadOptions.frames) if trained.get("dataset") == dataset else LoadOptions.frames
    options = LoadOptions(image_size=spec.size, channels=spec.channels, crop=model.card.crop, frames=frames)
    return load(dataset, data, options)


@contextlib.contextmanager
def show_progress(total: int, what: str = "Faces") -> Iterator[Callable[[int], None]]:
    """Show a progress bar on standard error; yields the function to call with the number of images done."""
    with progress_bar() as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)
