"""What a training shows while it runs: one line that is rewritten on a terminal, lines of a log elsewhere."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar

from mien.core.text import percent
from mien.training.processes import is_first_process

# Seconds between two lines of a log; the last epoch always has one.
PAUSE = 10.0


class Progress(Callback):
    """Shows epoch, step, the last epoch's loss and validation score, and the remaining time, on standard error.

    Epochs count from 1. Nothing is read back from an accelerator during an epoch, because that would wait for it.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self.bar = Bar(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[scores]}{task.fields[left]}"),
            console=self.console,
            expand=True,
            redirect_stdout=sys.stdout.isatty(),  # otherwise rich takes the output away from a file
            redirect_stderr=sys.stderr.isatty(),
            disable=not self.console.is_terminal,
        )
        self.task: TaskID | None = None
        self.start = self.said = 0.0
        self.first_epoch = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the line, and the clock."""
        if not is_first_process():
            return
        self.start = self.said = time.monotonic()
        self.first_epoch = trainer.current_epoch
        self.task = self.bar.add_task("", total=trainer.num_training_batches, epoch="", scores="", left="")
        self.bar.start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start a new count of steps."""
        if self.task is not None:
            self.bar.update(self.task, completed=0, epoch=f"{trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count a step."""
        if self.task is not None:
            self.bar.advance(self.task)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show the scores of the epoch and the time that the others will take."""
        if self.task is None:
            return
        now = time.monotonic()
        epoch, last = trainer.current_epoch + 1, trainer.max_epochs or 1
        seconds = (now - self.start) / (epoch - self.first_epoch)
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        loss, score = metrics["train/loss"], percent(metrics["validation/accuracy"], 1)
        left = timedelta(seconds=round(seconds * (last - epoch)))
        self.bar.update(self.task, scores=f"loss {loss:.3f}  validation {score}", left=f"  {left} left")
        if not self.console.is_terminal and (now - self.said >= PAUSE or epoch == last or trainer.should_stop):
            self.said = now
            self.console.print(
                f"epoch {epoch} of {last}: loss {loss:.3f}, validation loss {metrics['validation/loss']:.3f}, "
                f"validation {score}, {left} left",
                highlight=False,
                soft_wrap=True,
            )

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leave the line as it is."""
        self.bar.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leave the line as it is, so that an error has a line of its own."""
        self.bar.stop()
