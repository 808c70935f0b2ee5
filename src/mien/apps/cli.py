"""The `mien` command: all subcommands, and errors as one line and an exit code.

Only typer is imported here and at the top of the command modules, so that `mien --help` is fast.
"""

from __future__ import annotations

import os
import sys
import warnings
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
    evaluate_detector,
    experiment,
    explain,
    export,
    faithfulness,
    fetch,
    models,
    neighbours,
    recipes,
    recognize,
    reinforce,
    report,
    robustness,
    serve,
    train,
    train_all,
)
from mien.apps.hints import HintedGroup
from mien.apps.streams import escape_unencodable
from mien.core.errors import MienError, MissingExtraError
from mien.core.text import one_line
from mien.training.memory import LARGE_PAGES

app = typer.Typer(
    name="mien",
    cls=HintedGroup,
    help="Recognize apparent facial expressions in images and videos, and train networks for it.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # rich's help would cost a third of the start-up time
    pretty_exceptions_enable=False,
)
COMMANDS = (
    recognize.recognize,
    annotate.annotate,
    serve.serve,
    train.train,
    recipes.recipes,
    train_all.train_all,
    reinforce.reinforce,
    experiment.experiment,
    explain.explain,
    faithfulness.faithfulness,
    neighbours.neighbours,
    evaluate.evaluate,
    evaluate.score,
    evaluate_detector.evaluate_detector,
    compare.compare,
    robustness.robustness,
    export.export,
    card.card,
    fetch.fetch,
    report.report,
    models.models,
)
for command in COMMANDS:
    app.command()(command)
for name, group in (("data", data), ("bench", bench)):
    app.add_typer(group.app, name=name)

# The extra to name when one of its modules is missing.
EXTRAS = {
    "train": "torch captum lightning pydantic kornia torchmetrics matplotlib tensorboard safetensors pytorch_optimizer "
    "sklearn",
    "export": "onnx",
    "video": "av",
    "annotate": "pyarrow",
    "ray": "ray",
    "web": "fastapi uvicorn prometheus_client",
}


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"mien {mien.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    # a callback of the option: the command's own would wait for a subcommand
    version: Annotated[
        bool,
        typer.Option("--version", "-V", help="Print the version and exit.", is_eager=True, callback=_print_version),
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command line; every `MienError` becomes one line on standard error and exit code 1."""
    os.environ.setdefault(LARGE_PAGES, "1")  # before torch is imported, which reads it once
    escape_unencodable()
    warnings.filterwarnings("ignore", module="PIL")  # an unusual image is either read or gives one line of error
    try:
        app()
    except MienError as error:
        _fail(str(error))
    except ModuleNotFoundError as error:
        top = (error.name or "").split(".")[0]
        extra = next((extra for extra, modules in EXTRAS.items() if top in modules.split()), None)
        if extra is None:
            raise
        _fail(str(MissingExtraError(f"mien {sys.argv[1]} (it uses {top})", extra)))
    except BrokenPipeError:
        # the reader, such as `head`, has closed the pipe: keep Python from complaining when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename or 'A file'}: {error.strerror or error}")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(text: str) -> None:
    typer.echo(f"error: {one_line(text)}", err=True)
    sys.exit(1)
