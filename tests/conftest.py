"""Fixtures for tests of several packages: a tiny model whose answers are known beforehand, and real portraits."""

from __future__ import annotations

import os
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Test processes side by side share the cores: their threads would wait for one another at every layer.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib as mpl
import numpy as np
import onnx
import pytest
import skimage.data
from numpy.typing import NDArray
from onnx import helper
from tiny_detector import write_tiny_detector
from tiny_model import MakeModel, tiny_card, tiny_network

from mien.core.card import METADATA_KEY, ModelCard


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Return a function that writes the tiny network with a card, or with none, and returns its path."""

    def make(card: ModelCard | None, outputs: int = 8, name: str = "tiny.onnx") -> Path:
        network = tiny_network(outputs)
        if card is not None:
            helper.set_model_props(network, {METADATA_KEY: card.to_json()})
        path = tmp_path / name
        onnx.save(network, path)
        return path

    return make


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file: 7 labels and "not a face", input (n, 1, 48, 48)."""
    network = tiny_network()
    helper.set_model_props(network, {METADATA_KEY: tiny_card().to_json()})
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    onnx.save(network, path)
    return path


@pytest.fixture(scope="session")
def tiny_detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face detector's file: white spots of 8 x 8 pixels are faces."""
    return write_tiny_detector(tmp_path_factory.mktemp("detector") / "spots.onnx")


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """A public-domain portrait with one face, RGB (512, 512, 3)."""
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def hopper() -> Path:
    """The file of a public-domain portrait with one face, a JPEG of 512 x 600."""
    return Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
