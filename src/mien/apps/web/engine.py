"""The models and detectors of a server, and the threads that work with them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata, resources
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.apps.web.batching import BatchedModel, Batcher
from mien.apps.web.limits import Admission, ByteBudget, Place
from mien.apps.web.metrics import Metrics
from mien.apps.web.problems import ProblemError
from mien.apps.web.settings import ServerSettings
from mien.core.errors import MienError, ModelError, did_you_mean
from mien.core.image import Limits, decode_image
from mien.core.types import Detection, ImageResult
from mien.inference.detectors import Detector
from mien.inference.detectors.registry import create_detector
from mien.inference.model import OnnxModel, model_files
from mien.inference.recognizer import Recognizer

T = TypeVar("T")


class Engine:
    """Loads what is offered, and does the work of all requests in a bounded number of threads.

    Worker threads decode pictures and find faces; the forward passes go through one `Batcher` a model.
    """

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        """Load the models and detectors; `ModelError` names what cannot be used."""
        self.settings = settings
        self.metrics = metrics
        self.places = Admission(settings.place_count, "requests")
        self.videos = Admission(settings.limits.videos, "videos")
        self.live = Admission(settings.limits.live_clients, "cameras")
        self.bytes = ByteBudget(settings.limits.pending_bytes)
        self.is_draining = False
        self._running = 0
        self._lock = threading.Lock()
        cv2.setNumThreads(1)
        self.models = _load_models(settings)
        self._batchers = {
            name: Batcher(model, settings.batches, lambda: self._running, metrics.observe_batch)
            for name, model in self.models.items()
        }
        detectors = self._load_detectors()
        self.detectors = tuple(detectors)
        self._recognizers = {
            (name, detector.name): Recognizer(BatchedModel(model, self._batchers[name]), detector)
            for name, model in self.models.items()
            for detector in detectors.values()
        }
        self._workers = ThreadPoolExecutor(settings.worker_count, "mien worker")
        metrics.places.set_function(lambda: self.places.taken)
        metrics.live.set_function(lambda: self.live.taken)
        metrics.bytes.set_function(lambda: self.bytes.held)
        metrics.jobs.set_function(lambda: self._running)

    def recognizer(self, model: str | None, detector: str | None) -> Recognizer:
        """Return the recogniser of a model and a detector that are offered; by default the first of each.

        Raises:
            ProblemError: Not offered; the names of those that are stand in it.
        """
        model = model or next(iter(self.models))
        detector = detector or self.detectors[0]
        if model not in self.models:
            raise ProblemError("invalid", _unknown("model", model, tuple(self.models)))
        if detector not in self.detectors:
            raise ProblemError("invalid", _unknown("detector", detector, self.detectors))
        return self._recognizers[model, detector]

    def recognize(self, recognizer: Recognizer, pictures: Sequence[tuple[str, bytes]]) -> list[ImageResult]:
        """Decode and recognise (name, bytes) pictures, one result each; runs in a worker thread.

        Pictures are decoded in groups of no more pixels than one picture may have: memory stays bounded.

        Raises:
            ImageError: One of them cannot be read.
        """
        limits = Limits(self.settings.limits.body_bytes, self.settings.limits.pixels)
        results: list[ImageResult] = []
        group: list[NDArray[np.uint8]] = []
        pixels = 0
        for name, data in pictures:
            image = decode_image(data, name, limits)
            size = image.shape[0] * image.shape[1]
            if group and pixels + size > limits.max_pixels:
                results += self._flush(recognizer, group, pictures, len(results))
                pixels = 0
            group.append(image)
            pixels += size
        results += self._flush(recognizer, group, pictures, len(results))
        self.metrics.pictures.labels("picture").inc(len(results))
        return results

    async def run(self, place: Place, work: Callable[[], T]) -> T:
        """Do `work` in a worker thread and wait for it; the place is kept until it is done.

        Raises:
            ProblemError: It took longer than `Times.answer` (503).
        """
        job = self.submit(work)
        place.hand_over(job)
        return await self.wait(job)

    def submit(self, work: Callable[[], T], threads: ThreadPoolExecutor | None = None) -> Future[T]:
        """Put `work` into the queue of the worker threads, or of others."""
        return (threads or self._workers).submit(self._do, work)

    async def wait(self, job: Future[T]) -> T:
        """Wait for a job; one that has not begun when its client leaves or time is up is not begun any more."""
        try:
            async with asyncio.timeout(self.settings.times.answer):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            seconds = self.settings.times.answer
            raise ProblemError("timeout", f"No answer within {seconds:g} s; try again later.") from None

    def close(self) -> None:
        """Finish what has been begun, and end the threads."""
        self._workers.shutdown(cancel_futures=True)
        for batcher in self._batchers.values():
            batcher.close()

    def licence(self, model: str) -> str | None:
        """Return the licence of a shipped model, which is the package's; None: the file's author knows."""
        file = model_files().get(model)
        if file is None or Path(str(file)).parent != Path(str(resources.files("mien") / "assets")):
            return None
        return metadata.metadata("mien")["License-Expression"]

    def _do(self, work: Callable[[], T]) -> T:
        with self._lock:
            self._running += 1
        try:
            return work()
        finally:
            with self._lock:
                self._running -= 1

    def _flush(
        self,
        recognizer: Recognizer,
        group: list[NDArray[np.uint8]],
        pictures: Sequence[tuple[str, bytes]],
        first: int,
    ) -> list[ImageResult]:
        names = [name for name, _ in pictures[first : first + len(group)]]
        results = recognizer.recognize_batch(group, names)
        group.clear()
        return results

    def _load_detectors(self) -> dict[str, Detector]:
        offer, found = self.settings.offer, dict[str, Detector]()
        for name in offer.detectors:
            detector = create_detector(name)
            if getattr(detector, "is_whole_image", False):
                found[detector.name] = detector
            elif detector.name not in found:
                found[detector.name] = EachThread(detector, name, self.settings.limits.faces)
        return found


class EachThread:
    """A detector with one copy a thread: the built-in ones let only one thread in at a time."""

    def __init__(self, first: Detector, word: str, most: int) -> None:
        """Take a detector, the word that makes more of it, and the most faces of a picture."""
        self._name = first.name
        self._word = word
        self._most = most
        self._local = threading.local()

    @property
    def name(self) -> str:
        """The detector's own name."""
        return self._name

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of an upright RGB picture (h, w, 3), at most as many as are allowed, best first."""
        if not hasattr(self._local, "detector"):
            self._local.detector = create_detector(self._word)
        found: list[Detection] = self._local.detector.detect(image)
        return sorted(found, key=lambda d: -d.score)[: self._most]


def _load_models(settings: ServerSettings) -> dict[str, OnnxModel]:
    """Return the models by the names that clients know them by: NAME, or a file's name without its ending."""
    models: dict[str, OnnxModel] = {}
    for word in settings.offer.models:
        name = Path(word).name.removesuffix(".onnx")
        if name in models:
            raise ModelError(f"Two models are named '{name}'; give one of the files another name.")
        models[name] = OnnxModel.load(word, settings.offer.threads)
    if not models or not settings.offer.detectors:
        raise MienError("The server offers no model or no detector; name one each.")
    return models


def _unknown(what: str, given: str, known: Sequence[str]) -> str:
    shown = given[:40]
    return f"No {what} named '{shown}' is loaded.{did_you_mean(shown, known)} Loaded: {', '.join(known)}."
