"""The faces of several requests in one forward pass."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mien.core.card import ModelCard
from mien.core.errors import ModelError
from mien.core.hardware import available_cores
from mien.inference.model import Model, Scores

Images = NDArray[np.float32]
Job = tuple[Images, "Future[Scores]"]


@dataclass(frozen=True)
class BatchSettings:
    """How faces of several requests share a forward pass."""

    size: int = 32  # most faces per forward pass
    wait: float = 0.001  # longest wait for faces of other requests, in seconds
    passes: int = field(default_factory=available_cores)  # forward passes at the same time


class BatchedModel:
    """A model with threads, each of which classifies all faces that have arrived while the threads were busy.

    A single client does not wait: only while other work is in progress, which may bring more faces, does a thread wait
    up to `settings.wait` seconds for it.
    """

    def __init__(
        self,
        model: Model,
        settings: BatchSettings,
        count_jobs: Callable[[], int] = lambda: 0,
        observe: Callable[[int, float], None] = lambda faces, seconds: None,
    ) -> None:
        """Start the threads.

        Args:
            model: Makes the forward passes, several at the same time.
            settings: See `BatchSettings`.
            count_jobs: Returns how many jobs in progress will call `predict`, or have called it.
            observe: Called after each forward pass with its number of faces, and its seconds.
        """
        self._model = model
        self._settings = settings
        self._count_jobs = count_jobs
        self._observe = observe
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._is_closed = False
        self._in_passes = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"batches of {self.card.name}", daemon=True)
            for _ in range(settings.passes)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._model.card

    def predict(self, images: Images) -> Scores:
        """Classify faces (n, channels, size, size), together with those of other threads; waits for the result.

        Raises:
            ModelError: The model has been closed.
        """
        result: Future[Scores] = Future()
        with self._lock:
            if self._is_closed:
                raise ModelError("The server is shutting down and accepts no more images.")
            self._queue.put((images, result))
        return result.result()

    def close(self) -> None:
        """Finish what has been accepted, and end the threads."""
        with self._lock:
            self._is_closed = True
            for _ in self._threads:
                self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        is_open = True
        while is_open and (first := self._queue.get()) is not None:
            batch, is_open = self._collect(first)
            with self._lock:
                self._in_passes += len(batch)
            try:
                self._classify(batch)
            finally:
                with self._lock:
                    self._in_passes -= len(batch)

    def _collect(self, first: Job) -> tuple[list[Job], bool]:
        """Return the jobs of the next forward pass, and whether the thread should then continue."""
        batch, count = [first], len(first[0])
        deadline = time.monotonic() + self._settings.wait
        while count < self._settings.size:
            wait = deadline - time.monotonic() if self._count_jobs() - self._in_passes > len(batch) else 0
            try:
                job = self._queue.get(timeout=wait) if wait > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return batch, False
            batch.append(job)
            count += len(job[0])
        return batch, True

    def _classify(self, batch: Sequence[Job]) -> None:
        try:
            scores = self._predict(np.concatenate([images for images, _ in batch]))
        except BaseException as error:  # those who wait must see it, whatever it is
            for _, result in batch:
                result.set_exception(error)
            return
        ends = itertools.accumulate(len(images) for images, _ in batch)
        for (images, result), end in zip(batch, ends, strict=True):
            rows = slice(end - len(images), end)
            result.set_result(Scores(scores.logits[rows], scores.probabilities[rows], scores.reject[rows]))

    def _predict(self, images: Images) -> Scores:
        """Make forward passes of at most `settings.size` faces, so that memory stays bounded."""
        passes = []
        for first in range(0, max(len(images), 1), self._settings.size):
            part = images[first : first + self._settings.size]
            start = time.perf_counter()
            passes.append(self._model.predict(part))
            if len(part):
                self._observe(len(part), time.perf_counter() - start)
        logits, probabilities, reject = zip(*((p.logits, p.probabilities, p.reject) for p in passes), strict=True)
        return Scores(np.concatenate(logits), np.concatenate(probabilities), np.concatenate(reject))
