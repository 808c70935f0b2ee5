"""Faces of several threads in one forward pass, returned in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.apps.web.batching import BatchedModel, BatchSettings
from mien.core.errors import ModelError
from mien.inference.model import OnnxModel, Scores


class SlowModel:
    """Notes how many faces each forward pass has; the first pass waits for `gate`."""

    def __init__(self, path: Path) -> None:
        self.model = OnnxModel.load(path)
        self.card = self.model.card
        self.sizes: list[int] = []
        self.gate = threading.Event()

    def predict(self, images: NDArray[np.float32]) -> Scores:
        self.sizes.append(len(images))
        if len(self.sizes) == 1:
            self.gate.wait(5)
        return self.model.predict(images)


@pytest.fixture
def slow(tiny_model: Path) -> SlowModel:
    return SlowModel(tiny_model)


def faces(number: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((number, 1, 48, 48), dtype=np.float32)


@contextmanager
def batched(model: Any, count_jobs: Callable[[], int] = lambda: 0, **settings: Any) -> Iterator[BatchedModel]:
    opened = BatchedModel(model, BatchSettings(**settings), count_jobs)
    yield opened
    opened.close()


def test_threads_share_a_pass_and_get_their_own_faces_back(slow: SlowModel) -> None:
    wanted = [faces(number, seed) for seed, number in enumerate((1, 3, 2, 1, 4))]
    with batched(slow, size=64, passes=1) as shared, ThreadPoolExecutor(5) as threads:
        jobs = [threads.submit(shared.predict, wanted[0])]
        while not slow.sizes:
            time.sleep(0.001)
        jobs += [threads.submit(shared.predict, images) for images in wanted[1:]]
        while shared._queue.qsize() < 4:
            time.sleep(0.001)
        slow.gate.set()
        for job, images in zip(jobs, wanted, strict=True):
            np.testing.assert_allclose(job.result(5).logits, slow.model.predict(images).logits, rtol=1e-5)
    assert slow.sizes == [1, 10]


def test_passes_are_made_at_the_same_time(slow: SlowModel) -> None:
    with batched(slow, passes=2) as shared, ThreadPoolExecutor(1) as threads:
        held = threads.submit(shared.predict, faces(1))
        while not slow.sizes:
            time.sleep(0.001)
        assert len(shared.predict(faces(2)).logits) == 2
        assert not held.done()
        slow.gate.set()
        assert len(held.result(5).logits) == 1


def test_passes_are_never_larger_than_allowed(slow: SlowModel) -> None:
    slow.gate.set()
    with batched(slow, size=4) as shared:
        many = faces(10)
        np.testing.assert_allclose(shared.predict(many).reject, slow.model.predict(many).reject, rtol=1e-5)
        assert shared.predict(faces(0)).probabilities.shape[0] == 0
    assert slow.sizes[:3] == [4, 4, 2]


@pytest.mark.parametrize(("jobs", "sizes"), [(1, [1, 1]), (2, [2])])
def test_only_other_work_in_progress_is_waited_for(slow: SlowModel, jobs: int, sizes: list[int]) -> None:
    slow.gate.set()
    with batched(slow, lambda: jobs, wait=30, passes=1) as shared, ThreadPoolExecutor(1) as threads:
        first = threads.submit(shared.predict, faces(1))
        while jobs == 1 and not first.done():
            time.sleep(0.001)
        shared.predict(faces(1))
    assert slow.sizes == sizes


def test_an_error_reaches_everybody_and_ends_nothing(tiny_model: Path) -> None:
    with batched(OnnxModel.load(tiny_model)) as shared:
        with pytest.raises(Exception, match=r"(?i)invalid|dimension"):
            shared.predict(np.zeros((1, 1, 7, 7), dtype=np.float32))
        assert len(shared.predict(faces(2)).logits) == 2
    with pytest.raises(ModelError, match="shutting down"):
        shared.predict(faces(1))
