"""Providers: names, errors, and OpenVINO behind the same method."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pytest
from small_convolutions import small_faces, small_network

from mien.core.errors import MissingExtraError, ModelError
from mien.inference.model import OnnxModel


def test_an_unknown_provider_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        ModelError, match=r"No provider named 'cdua'\. Did you mean 'cuda'\? Providers: cpu, cuda, open"
    ):
        OnnxModel(small_network(), "small", provider="cdua")


def test_an_absent_provider_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "mien.inference.openvino", raising=False)
    for provider in ("cuda", "openvino"):
        with pytest.raises(
            MissingExtraError, match=rf"Provider '{provider}' requires the extra .*pip install 'mien\[{provider}\]'"
        ):
            OnnxModel(small_network(), "small", provider=provider)


class StandIn:
    """onnxruntime's session, which says that it runs on other hardware, or fell back to the CPU in silence."""

    def __init__(self, started: str, session: onnxruntime.InferenceSession) -> None:
        self._started, self._session = started, session

    def get_providers(self) -> list[str]:
        return [self._started]

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[list[str]]]:
    """Return a function that makes onnxruntime pretend to have CUDA and to start what it is given."""
    make = onnxruntime.InferenceSession

    def pretend_to_start(started: str) -> list[list[str]]:
        requested: list[list[str]] = []

        def session(data: bytes, options: object, providers: list[str]) -> StandIn:
            requested.append(providers)
            return StandIn(started, make(data, options, providers=["CPUExecutionProvider"]))

        both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
        monkeypatch.setattr(onnxruntime, "InferenceSession", session)
        return requested

    return pretend_to_start


def test_cuda_is_asked_for_before_the_cpu(pretend: Callable[[str], list[list[str]]]) -> None:
    requested = pretend("CUDAExecutionProvider")
    scores = OnnxModel(small_network(), "small", provider="cuda").predict(small_faces(3))
    assert scores.logits.shape == (3, 7)
    assert requested == [["CUDAExecutionProvider", "CPUExecutionProvider"]]


def test_a_provider_that_does_not_start_is_an_error(pretend: Callable[[str], list[list[str]]]) -> None:
    pretend("CPUExecutionProvider")
    with pytest.raises(ModelError, match="Provider 'cuda' does not start"):
        OnnxModel(small_network(), "small", provider="cuda")


class FakeOpenvino(types.ModuleType):
    """Fake of OpenVINO: runs the network by onnxruntime, in an array that each request uses again."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__("openvino")
        self.settings: dict[str, object] = {}
        self.requests = 0
        self.fails = fails

    def Core(self) -> FakeOpenvino:  # noqa: N802 - its name
        return self

    def read_model(self, model: bytes, weights: bytes) -> bytes:
        assert weights == b""
        if self.fails:
            raise RuntimeError("operator Frobnicate\nis unknown")
        return model

    def compile_model(self, model: bytes, device: str, settings: dict[str, object]) -> FakeOpenvino:
        self.settings = {"device": device} | settings
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        return self

    def create_infer_request(self) -> types.SimpleNamespace:
        self.requests += 1
        buffer = np.zeros((64, 7), np.float32)

        def infer(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            count = len(inputs["images"])
            buffer[:count] = self.session.run(["logits"], inputs)[0]
            return {"logits": buffer[:count]}

        return types.SimpleNamespace(infer=infer)


def use(fake: FakeOpenvino, monkeypatch: pytest.MonkeyPatch) -> OnnxModel:
    monkeypatch.setitem(sys.modules, "openvino", fake)
    monkeypatch.delitem(sys.modules, "mien.inference.openvino", raising=False)
    try:
        return OnnxModel(small_network(), "small", 3, "openvino")
    finally:
        sys.modules.pop("mien.inference.openvino", None)


def test_openvino_gives_the_same_answers_to_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeOpenvino()
    model = use(fake, monkeypatch)
    assert fake.settings["device"] == "CPU"
    assert fake.settings["INFERENCE_NUM_THREADS"] == 3
    assert fake.settings["INFERENCE_PRECISION_HINT"] == "f32"
    expected = OnnxModel(small_network(), "small")
    faces = small_faces(16)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda face: model.predict(face[None]).logits, faces))
    np.testing.assert_allclose(np.concatenate(answers), expected.predict(faces).logits, atol=1e-5)
    first = model.predict(faces[:2]).logits
    before = first.copy()
    model.predict(faces[2:4])
    assert np.array_equal(first, before), "an answer is not written over by the next"


def test_what_openvino_cannot_run_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match=r"^small cannot be run by OpenVINO \(operator Frobnicate\); use 'cpu'\.$"):
        use(FakeOpenvino(fails=True), monkeypatch)
