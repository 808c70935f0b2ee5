"""Bad input gives one clear line and a non-zero exit, never a traceback, and a batch continues."""

import json

import numpy as np
import pytest
from images import encoded, png_header
from PIL import Image


def jpeg():
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)), "JPEG")


BAD_IMAGES = {
    "empty.jpg": (b"", "is empty"),
    "truncated.jpg": (jpeg()[:700], "damaged or truncated"),
    "text.png": (b"plain text", "is not an image"),
    "two\nlines.jpg": (b"plain text", "is not an image"),
    "bomb.png": (png_header(30_000, 30_000), "million pixels"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_image_is_one_line_and_the_batch_continues(mien, tmp_path, tiny_model, name):
    content, message = BAD_IMAGES[name]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.jpg").write_bytes(jpeg())
    code, out, err = mien(
        "recognize", tmp_path / name, tmp_path / "missing.jpg", tmp_path / "good.jpg",
        "--model", tiny_model, "--detector", "none", "--format", "json",
    )  # fmt: skip
    assert code == 1
    lines = err.strip().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert " ".join(name.split()) in lines[0]
    assert message in lines[0]
    assert "missing.jpg cannot be read" in lines[1]
    (result,) = map(json.loads, out.splitlines())
    assert result["source"].endswith("good.jpg")


def test_no_face_is_a_result(mien, tmp_path, tiny_model):
    Image.new("RGB", (200, 200), "white").save(tmp_path / "blank.png")
    code, out, err = mien("recognize", tmp_path / "blank.png", "--model", tiny_model, "--detector", "haar")
    assert (code, err) == (0, "")
    assert "No faces detected" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recognize", "{tmp}/empty", "--model", "{model}"], "no images in this folder"),
        (["recognize", "{tmp}/*.png", "--model", "{model}"], "no image file matches"),
        (["recognize", "x.jpg", "--model", "{tmp}/none.onnx"], "no such model file"),
        (["recognize", "x.jpg", "--model", "defualt"], "No model named 'defualt'"),
        (["recognize", "x.jpg", "--model", "{model}", "--detector", "hear"], "Did you mean 'haar'?"),
        (["evaluate", "{model}", "--data", "{tmp}"], "No data set found"),
        (["evaluate", "{model}", "--dataset", "synthetic", "--split", "test", "--out", "{tmp}"], "no split 'test'"),
        (["train", "defualt", "--data", "{tmp}"], "Did you mean 'default/fer2013'?"),
        (["train", "default", "--data", "{tmp}", "--set", "schedule.epoch=1"], "Did you mean 'epochs'?"),
        (["train", "default", "--data", "{tmp}/nowhere"], "No file or folder"),
        (["train", "default"], "--data PATH"),
        (["train", "resnet18/synthetic", "--set", "optimizer.options.foo=1"], "No option 'foo'"),
        (["train", "resnet18/synthetic", "--out", "{model}/run"], "is a file; name a folder with --out"),
        (["evaluate", "{model}", "--dataset", "synthetic", "--out", "{model}"], "File exists"),
        (["export", "{tmp}"], "holds no run"),
        (["data", "check", "{tmp}"], "No data set found"),
        (["data", "check", "{tmp}/short.csv"], "2304"),
        (["score", "{tmp}/none.npz"], "none.npz"),
        (["bench", "latency", "--model", "{model}", "--rounds", "0"], "rounds"),
    ],
)
def test_bad_arguments_are_one_line(mien, tmp_path, tiny_model, arguments, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "short.csv").write_text("emotion,pixels,Usage\n0,1 2 3,Training\n")
    code, _, err = mien(*(argument.format(tmp=tmp_path, model=tiny_model) for argument in arguments))
    assert code != 0
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert message in err
