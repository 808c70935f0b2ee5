"""Providers: names, errors, and OpenVINO behind the same method."""

from __future__ import annotations

import sys
import types
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
            MissingExtraError,
            match=rf"Provider '{provider}' requires the extra '{provider}': pip install .*\[{provider}\]'",
        ):
            OnnxModel(small_network(), "small", provider=provider)


@pytest.mark.parametrize("started", ["CUDAExecutionProvider", "CPUExecutionProvider"])
def test_cuda_comes_before_the_cpu_and_must_start(monkeypatch: pytest.MonkeyPatch, started: str) -> None:
    requested: list[list[str]] = []
    make = onnxruntime.InferenceSession

    def session(data: bytes, options: object, providers: list[str]) -> types.SimpleNamespace:
        """Return onnxruntime's session, which says that it runs on other hardware, or fell back to the CPU."""
        requested.append(providers)
        real = make(data, options, providers=["CPUExecutionProvider"])
        return types.SimpleNamespace(get_modelmeta=real.get_modelmeta, run=real.run, get_providers=lambda: [started])

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    if started == "CUDAExecutionProvider":
        assert OnnxModel(small_network(), "small", provider="cuda").predict(small_faces(3)).logits.shape == (3, 7)
    else:
        with pytest.raises(ModelError, match="Provider 'cuda' does not start"):
            OnnxModel(small_network(), "small", provider="cuda")
    assert requested == [both]


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
