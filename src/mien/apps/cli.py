"""The `mien` command: puts the commands together and turns errors into one line and an exit code.

Only typer is imported here and at the top of the command modules, so that `mien --help` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import mien
from mien.apps import (
    annotate,
    bench,
    card,
    compare,
    data,
    evaluate,
    experiment,
    explain,
    export,
    faithfulness,
    fetch,
    gallery,
    models,
    neighbours,
    recognize,
    report,
    robustness,
    serve,
    train,
    train_all,
)
from mien.core.errors import MienError, MissingExtraError
from mien.training.memory import LARGE_PAGES

app = typer.Typer(
    name="mien",
    help="Recognise apparent facial expressions in pictures, and train the networks that do it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # rich's help costs a third of the start-up time
    pretty_exceptions_enable=False,
)
app.command()(recognize.recognize)
app.command()(annotate.annotate)
app.command()(serve.serve)
app.command()(train.train)
app.command("train-all")(train_all.train_all)
app.command()(experiment.experiment)
app.command()(explain.explain)
app.command()(faithfulness.faithfulness)
app.command()(gallery.gallery)
app.command()(neighbours.neighbours)
app.command()(evaluate.evaluate)
app.command()(evaluate.score)
app.command()(compare.compare)
app.command()(robustness.robustness)
app.command()(export.export)
app.command()(card.card)
app.command()(report.report)
app.command()(models.models)
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")
app.add_typer(fetch.app, name="fetch")

# Top-level modules that only an extra installs, and the extra to name when one is missing.
EXTRAS = {
    "torch": "train",
    "captum": "train",
    "lightning": "train",
    "pydantic": "train",
    "kornia": "train",
    "torchmetrics": "train",
    "matplotlib": "train",
    "tensorboard": "train",
    "safetensors": "train",
    "pytorch_optimizer": "train",
    "sklearn": "train",
    "onnx": "export",
    "av": "video",
    "pyarrow": "annotate",
    "ray": "ray",
    "fastapi": "web",
    "uvicorn": "web",
    "prometheus_client": "web",
}


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    if version:
        typer.echo(mien.__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; every `MienError` becomes one line on standard error and exit code 1."""
    os.environ.setdefault(LARGE_PAGES, "1")  # here, because torch looks once
    try:
        app()
    except MienError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        top = (error.name or "").split(".")[0]
        if top not in EXTRAS:
            raise
        _fail(str(MissingExtraError(f"This command (it uses {top})", EXTRAS[top])))
    except BrokenPipeError:
        # the reader, such as `head`, has had enough: keep Python from complaining when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'A file'}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(text: str) -> None:
    typer.echo(f"error: {' '.join(text.split())}", err=True)
    sys.exit(1)
