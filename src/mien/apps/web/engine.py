"""The models and detectors of a server, and the threads that use them."""

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

from mien.apps.web.batching import BatchedModel, BatchSettings
from mien.apps.web.limits import Budget
from mien.apps.web.metrics import Metrics
from mien.apps.web.problems import ProblemError
from mien.apps.web.settings import ServerSettings
from mien.core.decoding import Limits
from mien.core.errors import ImageError, MienError, ModelError, did_you_mean
from mien.core.types import Detection
from mien.inference.detectors import Detector
from mien.inference.detectors.registry import create_detector
from mien.inference.model import OnnxModel
from mien.inference.model_files import model_files
from mien.inference.recognizer import FoundFaces, Recognizer
from mien.inference.results import ImageResult

T = TypeVar("T")
MAX_FACES = 100  # per image


class Engine:
    """Loads models and detectors, and does the work of all requests in a limited number of threads.

    Worker threads decode images and find faces; forward passes go through one `BatchedModel` per model.
    """

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        """Load the models and detectors; `ModelError` if one of them cannot be used."""
        self.settings = settings
        self.metrics = metrics
        limits = settings.limits
        self.requests = Budget(settings.request_limit, "requests")
        self.videos = Budget(1, "videos")
        self.live = Budget(limits.live_clients, "WebSocket clients")
        self.bytes = Budget(limits.pending_bytes, "bytes in memory")
        self.is_draining = False
        self._running = 0
        self._lock = threading.Lock()
        cv2.setNumThreads(1)
        self.models = self._load_models()
        detectors = self._load_detectors()
        self.detectors = tuple(detectors)
        self._recognizers = {
            (name, detector.name): Recognizer(model, detector)
            for name, model in self.models.items()
            for detector in detectors.values()
        }
        self._workers = ThreadPoolExecutor(settings.worker_count, "mien worker")
        metrics.pending.set_function(lambda: self.requests.taken)
        metrics.live.set_function(lambda: self.live.taken)
        metrics.bytes.set_function(lambda: self.bytes.taken)
        metrics.jobs.set_function(lambda: self._running)

    def recognizer(self, model: str | None, detector: str | None) -> Recognizer:
        """Return the recognizer of a loaded model and detector; None: the first one loaded.

        Raises:
            ProblemError: The model or detector is not loaded; the message lists those that are.
        """
        model = model or next(iter(self.models))
        detector = detector or self.detectors[0]
        _check_loaded("model", model, tuple(self.models))
        _check_loaded("detector", detector, self.detectors)
        return self._recognizers[model, detector]

    def recognize(
        self, recognizer: Recognizer, images: Sequence[tuple[str, bytes]]
    ) -> tuple[list[ImageResult], list[tuple[str, ImageError]]]:
        """Decode and recognize images (name, file content); call it in a worker thread.

        Returns:
            The results of those that can be read, and the names and errors of the others.

        Raises:
            ImageError: None of them can be read.
        """
        limits = Limits(self.settings.limits.body_bytes, self.settings.limits.pixels)
        found, unreadable = list[FoundFaces](), list[tuple[str, ImageError]]()
        for name, data in images:  # one at a time, so that only the crops of earlier images stay in memory
            try:
                found.append(recognizer.find(data, name, limits=limits))
            except ImageError as error:
                unreadable.append((name, error))
        if not found:
            raise unreadable[0][1]
        results = recognizer.classify(found)
        self.metrics.images.labels("image").inc(len(results))
        return results, unreadable

    async def run(self, work: Callable[[], T]) -> T:
        """Run the work of a request in a worker thread; it counts towards the request limit until it is done.

        Raises:
            ProblemError: Too many requests (429), or it takes longer than `Timeouts.response` (503).
        """
        self.requests.take()
        job = self.submit(work)
        job.add_done_callback(lambda _: self.requests.release())
        return await self.wait(job)

    def submit(self, work: Callable[[], T], threads: ThreadPoolExecutor | None = None) -> Future[T]:
        """Add work to the queue of the worker threads, or of other threads."""
        return (threads or self._workers).submit(self._do, work)

    async def wait(self, job: Future[T]) -> T:
        """Wait for a job; if the client leaves or the time is up before it has started, cancel it."""
        try:
            async with asyncio.timeout(self.settings.timeouts.response):
                return await asyncio.wrap_future(job)
        except TimeoutError:
            seconds = self.settings.timeouts.response
            raise ProblemError("timeout", f"No result within {seconds:g} s; try again later.") from None

    def close(self) -> None:
        """Finish the work in progress, cancel what waits, and end the threads."""
        self._workers.shutdown(cancel_futures=True)
        for model in self.models.values():
            model.close()

    def licence(self, model: str) -> str | None:
        """Return the licence of a model that ships with the package; None for other files."""
        file = Path(str(model_files().get(model)))
        is_shipped = model in self.settings.models and file.parent == Path(str(resources.files("mien") / "assets"))
        return metadata.metadata("mien")["License-Expression"] if is_shipped else None

    def _do(self, work: Callable[[], T]) -> T:
        with self._lock:
            self._running += 1
        try:
            return work()
        finally:
            with self._lock:
                self._running -= 1

    def _load_models(self) -> dict[str, BatchedModel]:
        """Return the models by the names that clients use: NAME, or a file's name without its ending."""
        loaded: dict[str, OnnxModel] = {}
        for spec in self.settings.models:
            name = Path(spec).name.removesuffix(".onnx")
            if name in loaded:
                raise ModelError(f"Two models are named '{name}'; rename one of the files.")
            loaded[name] = OnnxModel.load(spec, self.settings.threads)
        if not loaded or not self.settings.detectors:
            raise MienError("The server has no model or no detector; name one of each.")
        batches, observe = BatchSettings(self.settings.batch), self.metrics.observe_batch
        return {name: BatchedModel(model, batches, lambda: self._running, observe) for name, model in loaded.items()}

    def _load_detectors(self) -> dict[str, Detector]:
        detectors: dict[str, Detector] = {}
        settings: dict[str, object] = {}
        for spec in self.settings.detectors:
            detector = create_detector(spec)
            own = tuple(getattr(detector, name, None) for name in ("weights", "smallest_face"))
            if settings.setdefault(detector.name, own) != own:
                raise ModelError(f"Two detectors are named '{detector.name}', with different settings; give one.")
            if not getattr(detector, "is_whole_image", False):
                is_concurrent = getattr(detector, "is_concurrent", False)
                detector = BestFaces(detector if is_concurrent else PerThreadDetector(detector.name, spec))
            detectors.setdefault(detector.name, detector)
        return detectors


class BestFaces:
    """A detector whose answers have a limited number of faces."""

    def __init__(self, detector: Detector) -> None:
        """Limit a detector."""
        self.name = detector.name
        self._detector = detector

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the best faces of an upright RGB image (h, w, 3), best first, at most `MAX_FACES`."""
        return sorted(self._detector.detect(image), key=lambda d: -d.score)[:MAX_FACES]


class PerThreadDetector:
    """A detector with one instance per thread, because some serve only one thread at a time."""

    def __init__(self, name: str, spec: str) -> None:
        """Set the name, and the specification from which each thread creates its instance."""
        self.name = name
        self._spec = spec
        self._local = threading.local()

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Return the faces of an upright RGB image (h, w, 3)."""
        if not hasattr(self._local, "detector"):
            self._local.detector = create_detector(self._spec)
        found: list[Detection] = self._local.detector.detect(image)
        return found


def _check_loaded(kind: str, name: str, loaded: Sequence[str]) -> None:
    if name not in loaded:
        hint = did_you_mean(name[:40], loaded)
        known = f"Loaded: {', '.join(loaded)}. `mien serve --{kind} NAME` loads others when it starts."
        raise ProblemError("invalid", f"No {kind} named '{name[:40]}' is loaded.{hint} {known}")
