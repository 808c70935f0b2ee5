"""Bad input gives one clear line and a non-zero exit, never a traceback, and a batch continues."""

import json

import numpy as np
import pytest
from images import encoded, png_header
from PIL import Image

GOOD_PIXELS = " ".join(["128"] * 2303 + ["7"])


def jpeg():
    return encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)), "JPEG")


BAD_IMAGES = {
    "empty.jpg": (b"", "is empty"),
    "truncated.jpg": (jpeg()[:700], "damaged or truncated"),
    "text.png": (b"plain text", "is not an image"),
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
    assert name in lines[0]
    assert message in lines[0]
    assert "missing.jpg cannot be read" in lines[1]
    (result,) = map(json.loads, out.splitlines())
    assert result["source"].endswith("good.jpg")


def unusual_images():
    rng = np.random.default_rng(1)
    grey = rng.integers(60, 200, (60, 50), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    return {
        "grey.png": (Image.fromarray(grey), {}),
        "deep.png": (Image.fromarray(grey.astype(np.uint16) * 257), {}),
        "alpha.png": (Image.fromarray(np.dstack([grey] * 4)), {}),
        "print.jpg": (Image.fromarray(np.dstack([grey] * 3)).convert("CMYK"), {}),
        "turned.jpg": (Image.fromarray(grey), {"exif": exif}),
        "dot.png": (Image.fromarray(grey[:1, :1]), {}),
    }


@pytest.mark.parametrize("name", unusual_images())
def test_unusual_images_are_read(mien, tmp_path, tiny_model, name):
    image, options = unusual_images()[name]
    image.save(tmp_path / name, **options)
    arguments = ("recognize", tmp_path / name, "--model", tiny_model, "--detector", "none", "--format", "json")
    code, out, err = mien(*arguments)
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert len(result["faces"]) == 1
    expected = (60, 50) if name == "turned.jpg" else image.size
    assert (result["image_width"], result["image_height"]) == expected


def test_no_face_is_a_result(mien, tmp_path, tiny_model):
    Image.new("RGB", (200, 200), "white").save(tmp_path / "blank.png")
    code, out, err = mien("recognize", tmp_path / "blank.png", "--model", tiny_model, "--detector", "haar")
    assert (code, err) == (0, "")
    assert "No faces detected" in out


def csv_with(*rows, header="emotion,pixels,Usage"):
    return "\n".join([header, *rows]) + "\n"


BAD_TABLES = {
    "wrong column": (csv_with(f"0,{GOOD_PIXELS},Training", header="emotion,image,Usage"), "no column 'pixels'"),
    "short row": (csv_with(f"0,{GOOD_PIXELS},Training", "1,1 2 3,Training"), "2304"),
    "unknown label": (csv_with(f"9,{GOOD_PIXELS},Training"), "emotion '9'"),
    "unknown usage": (csv_with(f"0,{GOOD_PIXELS},Practice"), "Usage"),
    "no rows": (csv_with(), "no rows"),
    "empty": ("", "is empty"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_bad_table_names_the_line(mien, tmp_path, what):
    content, message = BAD_TABLES[what]
    (tmp_path / "fer2013.csv").write_text(content)
    code, out, err = mien("data", "check", tmp_path / "fer2013.csv")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def test_unknown_label_folder(mien, tmp_path):
    (tmp_path / "train" / "angri").mkdir(parents=True)
    Image.new("L", (48, 48)).save(tmp_path / "train" / "angri" / "1.png")
    code, _, err = mien("data", "check", tmp_path, "--dataset", "folder")
    assert code == 1
    assert err.count("\n") == 1
    assert "angri" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recognize", "{tmp}", "--model", "{model}"], "no images in this folder"),
        (["recognize", "{tmp}/*.png", "--model", "{model}"], "no image file matches"),
        (["recognize", "x.jpg", "--model", "{tmp}/none.onnx"], "no such model file"),
        (["recognize", "x.jpg", "--model", "defualt"], "No model named 'defualt'"),
        (["recognize", "x.jpg", "--model", "{model}", "--detector", "hear"], "Did you mean 'haar'?"),
        (["evaluate", "{model}", "--data", "{tmp}"], "No data set found"),
        (["evaluate", "{model}", "--dataset", "synthetic", "--split", "test", "--out", "{tmp}"], "no split 'test'"),
        (["train", "defualt", "--data", "{tmp}"], "Did you mean 'default/fer2013'?"),
        (["train", "default", "--data", "{tmp}", "--set", "schedule.epoch=1"], "Did you mean 'epochs'?"),
        (["train", "default", "--data", "{tmp}/nowhere"], "No file or folder"),
        (["train", "default"], "--data DIR"),
        (["train", "default", "--data", "{tmp}/nowhere", "--set", "optimizer.options.foo=1"], "No option 'foo'"),
        (["train", "resnet18/synthetic", "--out", "{model}/run"], "is a file; name a folder with --out"),
        (["evaluate", "{model}", "--dataset", "synthetic", "--out", "{model}"], "File exists"),
        (["export", "{tmp}"], "holds no run"),
        (["data", "check", "{tmp}"], "No data set found"),
        (["score", "{tmp}/none.npz"], "none.npz"),
        (["bench", "latency", "--model", "{model}", "--rounds", "0"], "rounds"),
    ],
)
def test_bad_arguments_are_one_line(mien, tmp_path, tiny_model, arguments, message):
    code, _, err = mien(*(argument.format(tmp=tmp_path, model=tiny_model) for argument in arguments))
    assert code != 0
    assert "Traceback" not in err
    assert err.count("\n") == 1
    assert message in err


def test_model_file_without_a_card(mien, tmp_path, make_model):
    code, _, err = mien("recognize", "x.jpg", "--model", make_model(None, name="bare.onnx"))
    assert code == 1
    assert "bare.onnx has no mien model card" in err
    assert err.count("\n") == 1
