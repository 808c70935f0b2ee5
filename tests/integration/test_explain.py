"""`mien explain` as its user runs it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from planted_stages import save_run

# `mien` is the fixture that runs the command line (conftest.py)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    network = {"name": "despam", "options": {"channels": (8, 8, 8), "depths": (1, 1, 1), "features": 8}}
    return save_run(tmp_path_factory.mktemp("run") / "tiny", network)


@pytest.fixture
def portraits(astronaut, hopper, tmp_path):
    path = tmp_path / "astronaut.png"
    Image.fromarray(astronaut).save(path)
    return [path, hopper]


def test_every_face_is_explained_and_saved(mien, run_folder, portraits, tmp_path):
    code, out, err = mien(
        "explain", run_folder, *portraits, "--detector", "haar", "--method", "gradcam", "--method", "parts",
        "--save", tmp_path / "maps", "--format", "json", "--keep-all",
    )  # fmt: skip
    assert code == 0, err
    images = [json.loads(line) for line in out.splitlines()]
    assert [image["source"] for image in images] == [str(path) for path in portraits]
    for image in images:
        face = image["faces"][0]
        assert [one["method"] for one in face["maps"]] == ["gradcam", "stage2/despam/gate"]
        assert face["maps"][0]["layer"] == "stage3"
        assert face["explained"] == face["label"]
        assert sum(face["maps"][1]["quarters"].values()) == pytest.approx(1, abs=1e-3)
        with np.load(image["files"][0][2], allow_pickle=False) as saved:
            assert saved["maps"].shape == (2, 48, 48)
    assert {path.name for path in (tmp_path / "maps").iterdir()} >= {"astronaut-face1.png", "astronaut-face1.svg"}


def test_text_says_where_the_evidence_lies(mien, run_folder, portraits):
    code, out, _ = mien("explain", run_folder, portraits[0], "--detector", "none", "--label", "fear", "--layer", "stem")
    assert code == 0
    assert "explained: fear" in out
    assert "gradcam at stem (24 x 24)" in out
    assert "upper left" in out or "no evidence for fear" in out


def test_a_file_is_explained_by_occlusion_without_the_training_stack(tiny_model, portraits):
    words = ["mien", "explain", str(tiny_model), str(portraits[0]), "--detector", "none", "--format", "json"]
    code = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in {{'torch', 'lightning', 'captum', 'matplotlib', 'onnx'}}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)
sys.meta_path.insert(0, Absent())
sys.argv = {words!r}
import mien.__main__
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["faces"][0]["maps"][0]["method"] == "occlusion"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--layer", "stage9"), "Layers: stem, stage1, stage2, stage3."),
        (("--method", "parts", "--layer", "stage1"), "Parts: stage2/despam/gate."),
    ],
)
def test_errors_list_what_is_available(mien, run_folder, portraits, words, message):
    code, out, err = mien("explain", run_folder, portraits[0], "--detector", "none", *words)
    assert code == 1
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_an_unreadable_image_is_reported_and_skipped(mien, run_folder, portraits, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    code, out, err = mien("explain", run_folder, broken, portraits[0], "--detector", "none", "--format", "json")
    assert code == 1
    assert "broken.png" in err
    assert json.loads(out)["source"] == str(portraits[0])
