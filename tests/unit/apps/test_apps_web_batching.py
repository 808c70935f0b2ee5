"""Faces of several threads in one forward pass, handed back in order."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.apps.web.batching import BatchedModel, Batcher
from mien.apps.web.settings import BatchSettings
from mien.core.errors import ModelError
from mien.inference.model import OnnxModel, Scores


class SlowModel(OnnxModel):
    """Notes how many faces come at a time; the first pass waits until it is let go."""

    def predict(self, faces: NDArray[np.float32]) -> Scores:
        self.sizes.append(len(faces))
        if len(self.sizes) == 1:
            self.gate.wait(5)
        return super().predict(faces)

    @classmethod
    def of(cls, path: Path) -> SlowModel:
        model = cls(path.read_bytes(), "tiny")
        model.sizes, model.gate = [], threading.Event()
        return model

    sizes: list[int]
    gate: threading.Event


def faces(number: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((number, 1, 48, 48), dtype=np.float32)


def test_many_threads_share_a_pass_and_get_their_own_faces_back(tiny_model: Path) -> None:
    model, alone = SlowModel.of(tiny_model), OnnxModel.load(tiny_model)
    batcher = Batcher(model, BatchSettings(faces=64, passes=1))
    shared = BatchedModel(model, batcher)
    wanted = [faces(number, seed) for seed, number in enumerate((1, 3, 2, 1, 4))]
    with ThreadPoolExecutor(5) as threads:
        jobs = [threads.submit(shared.predict, wanted[0])]
        while not model.sizes:
            time.sleep(0.001)
        jobs += [threads.submit(shared.predict, row) for row in wanted[1:]]
        time.sleep(0.3)  # one is being scored, and four wait
        model.gate.set()
        for job, row in zip(jobs, wanted, strict=True):
            np.testing.assert_allclose(job.result(5).logits, alone.predict(row).logits, rtol=1e-5)
    batcher.close()
    assert len(model.sizes) == 2
    assert sum(model.sizes) == 11


def test_passes_are_made_side_by_side(tiny_model: Path) -> None:
    model, alone = SlowModel.of(tiny_model), OnnxModel.load(tiny_model)
    batcher = Batcher(model, BatchSettings(passes=2))
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(batcher.predict, faces(1, 0))
        while not model.sizes:
            time.sleep(0.001)
        np.testing.assert_allclose(batcher.predict(faces(2, 1)).logits, alone.predict(faces(2, 1)).logits, rtol=1e-5)
        assert not held.done()
        model.gate.set()
        assert len(held.result(5).logits) == 1
    batcher.close()


def test_nobody_waits_for_what_is_in_a_pass_already(tiny_model: Path) -> None:
    model = SlowModel.of(tiny_model)
    batcher = Batcher(model, BatchSettings(wait=0.5, passes=2), busy=lambda: 2 if model.sizes else 1)
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(batcher.predict, faces(1, 0))
        while not model.sizes:
            time.sleep(0.001)
        start = time.perf_counter()
        batcher.predict(faces(1, 1))
        assert time.perf_counter() - start < 0.4
        model.gate.set()
        held.result(5)
    batcher.close()


def test_passes_are_never_larger_than_allowed(tiny_model: Path) -> None:
    model, alone = SlowModel.of(tiny_model), OnnxModel.load(tiny_model)
    model.gate.set()
    seen: list[int] = []
    batcher = Batcher(model, BatchSettings(faces=4), observe=lambda n, _: seen.append(n))
    many = faces(10, 0)
    np.testing.assert_allclose(batcher.predict(many).reject, alone.predict(many).reject, rtol=1e-5)
    assert batcher.predict(faces(0, 0)).probabilities.shape[0] == 0
    batcher.close()
    assert seen == [4, 4, 2]


def test_who_is_alone_does_not_wait_and_who_is_not_does(tiny_model: Path) -> None:
    model = OnnxModel.load(tiny_model)
    seconds = []
    for busy in (1, 2):
        batcher = Batcher(model, BatchSettings(wait=0.5), busy=lambda busy=busy: busy)
        start = time.perf_counter()
        batcher.predict(faces(1, 0))
        seconds.append(time.perf_counter() - start)
        batcher.close()
    assert seconds[0] < 0.4 <= seconds[1]


def test_an_error_reaches_everybody_and_ends_nothing(tiny_model: Path) -> None:
    batcher = Batcher(OnnxModel.load(tiny_model), BatchSettings())
    with pytest.raises(Exception, match=r"(?i)invalid|dimension"):
        batcher.predict(np.zeros((1, 1, 7, 7), dtype=np.float32))
    assert len(batcher.predict(faces(2, 0)).logits) == 2
    batcher.close()
    with pytest.raises(ModelError, match="about to stop"):
        batcher.predict(faces(1, 0))
