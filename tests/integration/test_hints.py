"""A word that mien does not know gets a hint that says what to type."""

import numpy as np
import pytest

import mien as package
from mien.core.errors import ImageError, ModelError
from mien.inference.recognizer import Recognizer
from mien.inference.video.frames import VideoError


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["photo.jpg"], "`mien recognize photo.jpg`"),
        (["camera:0"], "`mien recognize camera:0`"),
        (["https://example.org/a.mp4"], "`mien recognize https://example.org/a.mp4`"),
        (["finetune", "--data", "mine"], "`mien train finetune`"),
        (["default/fer2013"], "`mien train default/fer2013`"),
        (["detector"], "`mien train detector`"),  # beside a suggestion of its own
        (["http://it's.example/a.jpg"], "`mien recognize http://it's.example/a.jpg`"),
        (["recognize", "photo.jpg", "--gpu"], "--provider cuda"),
        (["recognize", "photo.jpg", "--device", "cuda"], "--provider cuda"),
        (["train", "default", "--gpu"], "if torch finds one"),
        (["recognize", "photo.jpg", "--formt", "csv"], "--format"),
        (["recognize", "photo.jpg", "--provider", "gpu"], "Did you mean 'cuda'?"),
        (["recognize", "0"], "camera:0"),
        (["recognize", "webcam"], "camera:0"),
        (["recognize", "photo.jpg", "--model", "resnet18"], "run folder"),
        (["recognize", "photo.jpg", "--model", "runs"], "run folder"),
        (["recognize", "photo.jpg", "--save", "out.csv"], "--format csv > out.csv"),
        (["recognize", "photo.jpg", "--save", "out.png"], "expected a folder, such as --save out."),
        (["explain", "default", "photo.jpg", "--save", "out.png"], "expected a folder"),
        (["recognize", "photo.jpg", "--format", "xlsx"], "Invalid value for '--format': 'xlsx' is not one of"),
    ],
)
def test_the_last_line_says_what_to_type(mien, tmp_path, monkeypatch, words, hint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"x")
    (tmp_path / "runs").mkdir()
    code, _, err = mien(*words)
    assert code != 0
    assert hint in err.splitlines()[-1]
    assert "--plugin" not in err.splitlines()[-1]
    assert not (tmp_path / "out.csv").exists()


def test_a_word_that_is_nothing_known_gets_no_hint(mien, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert mien("photo.jpg")[2].endswith("No such command 'photo.jpg'.\n")


def test_a_folder_with_a_suffix_that_exists_is_used(mien, tmp_path, tiny_model, hopper):
    (tmp_path / "out.png").mkdir()
    code, _, _ = mien(
        "recognize", hopper, "--model", tiny_model, "--detector", "none", "--save", tmp_path / "out.png"
    )  # fmt: skip
    assert code == 0
    assert list((tmp_path / "out.png").iterdir())


def test_errors_in_python_name_what_python_has(tmp_path, tiny_model):
    recognizer = Recognizer(tiny_model, "none")
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom")
    with pytest.raises(ImageError, match=r"mien\.stream"):
        recognizer.recognize(tmp_path / "clip.mp4")
    with pytest.raises(ImageError, match="recognize_batch"):
        recognizer.recognize(tmp_path)
    with pytest.raises(VideoError, match="camera:0"):
        package.stream(0)
    with pytest.raises(ModelError, match="in Python, `load_plugin_files"):
        Recognizer(tiny_model, "mtcnn")
    with pytest.raises(ModelError, match="run folder"):
        Recognizer(np.zeros(3))
