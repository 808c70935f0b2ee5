"""The faces of many requests in one forward pass."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from mien.apps.web.settings import BatchSettings
from mien.core.errors import ModelError
from mien.inference.model import Model, Scores

Faces = NDArray[np.float32]
Waiting = tuple[Faces, "Future[Scores]"]


class Batcher:
    """Threads, one a core, each of which scores whatever faces have come together while all were at work.

    Who is alone does not wait: only while other work is under way, which may bring more faces, are up to
    `settings.wait` seconds spent on waiting for it.
    """

    def __init__(
        self,
        model: Model,
        settings: BatchSettings,
        busy: Callable[[], int] = lambda: 0,
        observe: Callable[[int, float], None] = lambda faces, seconds: None,
    ) -> None:
        """Start the threads.

        Args:
            model: Makes the forward passes, several at a time.
            settings: The most faces of one pass, the longest wait, and how many passes at a time.
            busy: Tells how many jobs are under way that will ask for scores, or have asked.
            observe: Is told of each pass: its faces, and its seconds.
        """
        self._model = model
        self._settings = settings
        self._busy = busy
        self._observe = observe
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False
        self._in_passes = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"batches of {model.card.name}", daemon=True)
            for _ in range(settings.pass_count)
        ]
        for thread in self._threads:
            thread.start()

    def predict(self, images: Faces) -> Scores:
        """Score faces (n, channels, size, size); waits until it is done, in whatever thread.

        Raises:
            ModelError: The batcher has been closed.
        """
        result: Future[Scores] = Future()
        with self._lock:
            if self._is_closed:
                raise ModelError("The server is about to stop; nothing more is recognised.")
            self._queue.put((images, result))
        return result.result()

    def close(self) -> None:
        """Score what has been handed in, and end the threads."""
        with self._lock:
            self._is_closed = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, is_last = self._collect(first)
            self._change(len(batch))
            self._score(batch)
            if is_last:
                return

    def _change(self, jobs: int) -> None:
        with self._lock:
            self._in_passes += jobs

    def _collect(self, first: Waiting) -> tuple[list[Waiting], bool]:
        """Return what can be scored together, and whether the thread shall then end."""
        batch, count = [first], len(first[0])
        until = time.monotonic() + self._settings.wait
        while count < self._settings.faces:
            patience = until - time.monotonic() if self._busy() - self._in_passes > len(batch) else 0
            try:
                more = self._queue.get(timeout=patience) if patience > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if more is None:
                return batch, True
            batch.append(more)
            count += len(more[0])
        return batch, False

    def _score(self, batch: Sequence[Waiting]) -> None:
        try:
            faces = np.concatenate([faces for faces, _ in batch]) if len(batch) > 1 else batch[0][0]
            scores = self._predict(faces)
        except BaseException as error:  # whatever it is, those who wait must hear of it
            for _, result in batch:
                result.set_exception(error)
            return
        finally:
            self._change(-len(batch))
        first = 0
        for part, result in batch:
            rows = slice(first, first + len(part))
            result.set_result(Scores(scores.logits[rows], scores.probabilities[rows], scores.reject[rows]))
            first += len(part)

    def _predict(self, faces: Faces) -> Scores:
        """Score in passes of at most `settings.faces`, so that memory stays bounded."""
        passes = []
        for first in range(0, max(len(faces), 1), self._settings.faces):
            part = faces[first : first + self._settings.faces]
            start = time.perf_counter()
            passes.append(self._model.predict(part))
            if len(part):
                self._observe(len(part), time.perf_counter() - start)
        if len(passes) == 1:
            return passes[0]
        return Scores(
            np.concatenate([p.logits for p in passes]),
            np.concatenate([p.probabilities for p in passes]),
            np.concatenate([p.reject for p in passes]),
        )


class BatchedModel:
    """A model whose forward passes go through a `Batcher`."""

    def __init__(self, model: Model, batcher: Batcher) -> None:
        """Take a model, and the batcher that was made for it."""
        self.card = model.card
        self._batcher = batcher

    def predict(self, images: Faces) -> Scores:
        """Score faces (n, channels, size, size), together with those of other threads."""
        return self._batcher.predict(images)
