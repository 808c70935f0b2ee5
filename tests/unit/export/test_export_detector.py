"""A detector's model file: the same maps as the network, calibrated, and usable by its path."""

import numpy as np
import onnx
import pytest
import torch
from scene_folder import write_scenes
from typer.testing import CliRunner

from mien.apps.cli import app
from mien.core.detector_card import METADATA_KEY, DetectorCard
from mien.evaluation.calibration import fit_logistic
from mien.export import detector as exporting
from mien.export.detector import make_detector_onnx
from mien.inference.detectors.registry import create_detector
from mien.inference.onnx_session import start_session
from mien.models.face_detector import FaceDetector

CARD = DetectorCard("tiny", slope=1.0, offset=0.0, threshold=0.5)
TINY = (
    "data.dataset=synthetic", "scenes.per_epoch=16", "scenes.validation=6", "network.stem=[4,8,8]", "network.width=8",
    "network.kernels=[3]", "schedule.epochs=1", "schedule.warmup_epochs=0", "training.batch_size=8",
    "training.workers=0", "training.ema_decay=0",
)  # fmt: skip


def train(folder, *words):
    settings = [word for setting in TINY for word in ("--set", setting)]
    return CliRunner().invoke(app, ["train", "detector/faces", "--out", str(folder), *settings, "--quiet", *words])


@pytest.mark.parametrize(("bits", "bytes_each"), [(32, 4), (16, 2), (8, 1)])
def test_the_file_computes_what_the_network_does(bits, bytes_each):
    network = FaceDetector((8, 16, 32), 32, (3, 3)).eval()
    content = make_detector_onnx(network, CARD, weight_bits=bits)
    weights = sum(p.numel() for p in network.parameters() if p.ndim > 1)
    assert len(content) < bytes_each * weights + 14_000
    image = np.random.default_rng(0).integers(0, 256, (2, 1, 48, 80), dtype=np.uint8)
    (maps,) = start_session(content, "tiny").run(["maps"], {"image": image})
    with torch.inference_mode():
        expected = network(torch.from_numpy(image).float()).numpy()
    assert maps.shape == (2, 6, 6, 10)
    assert np.abs(maps - expected).max() < {32: 1e-4, 16: 0.02, 8: 0.2}[bits]
    assert (
        DetectorCard.from_metadata({p.key: p.value for p in onnx.load_from_string(content).metadata_props}, "") == CARD
    )


def test_a_logistic_curve_is_recovered_from_what_it_drew():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, 20_000)
    is_true = rng.random(20_000) < 1 / (1 + np.exp(-(0.6 * logits - 1)))
    slope, offset = fit_logistic(logits, is_true, np.ones(20_000))
    assert (slope, offset) == (pytest.approx(0.6, abs=0.03), pytest.approx(-1, abs=0.06))


@pytest.mark.parametrize("is_true", [[], [True, True], [False] * 3])
def test_a_logistic_curve_of_one_class_stays_finite(is_true):
    slope, offset = fit_logistic(np.linspace(-4, 4, len(is_true)), np.array(is_true, bool), np.ones(len(is_true)))
    assert 0 < slope < 10
    assert abs(offset) < 10


def test_a_command_trains_a_detector_that_its_file_names(tmp_path):
    scenes = write_scenes(tmp_path / "scenes")
    done = train(tmp_path / "run", "--scenes", str(scenes))
    assert done.exit_code == 0, done.output
    assert "detector.onnx: scenes:" in done.stdout
    detector = create_detector(tmp_path / "run" / "detector.onnx")
    assert detector.card.scores["photographs"]["faces"] == 2
    assert detector.card.recipe["name"] == "detector/faces"
    assert isinstance(detector.detect(np.full((90, 120, 3), 128, np.uint8)), list)
    again = train(tmp_path / "run", "--scenes", str(scenes), "--resume")
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--scenes DIR"),
        (["--scenes", "nowhere"], "No folder nowhere"),
        (["--ablation", "plain", "--scenes", "."], "no ablation 'plain'"),
        (["--set", "scenes.hard=1", "--scenes", "."], "unknown key 'scenes.hard'"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_written(tmp_path, words, message):
    done = train(tmp_path / "run", *words)
    assert message in str(done.exception)
    assert not (tmp_path / "run").exists()


def test_scenes_are_for_detectors_only(tmp_path):
    done = CliRunner().invoke(app, ["train", "default", "--scenes", str(tmp_path)])
    assert "--scenes is for recipes of face detectors" in str(done.exception)


def test_the_card_is_stored_once():
    content = make_detector_onnx(FaceDetector((4, 8, 8), 8, (3,)).eval(), CARD)
    keys = [entry.key for entry in onnx.load_from_string(exporting._with_card(content, CARD)).metadata_props]
    assert keys == [METADATA_KEY]
