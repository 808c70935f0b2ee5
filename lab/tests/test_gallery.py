"""The galleries of the papers' pages."""

import subprocess
import sys

from planted_stages import save_run


def test_a_gallery_has_one_column_per_model_and_says_what_was_drawn(tmp_path):
    network = {"name": "despam", "options": {"channels": (8, 8, 8), "depths": (1, 1, 1), "features": 8}}
    run = save_run(tmp_path / "run", network)
    command = [sys.executable, "-m", "lab.gallery", "--dataset", "synthetic", "--layer", "stage3", run]
    subprocess.run([*command, run, "--name", "one", "--name", "two", "-o", tmp_path / "both"], check=True)
    assert (tmp_path / "both.png").is_file()
    words = (tmp_path / "both.svg").read_text(encoding="utf-8")
    for said in ("one", "two", "gradcam at stage3", "accuracy not measured", "7 faces", "disgust"):
        assert said in words, said
    assert words.count("<image") == 7 * 3, "a face and two maps per row, each laid over its face"
    parts = ("--part", "stage2/despam/gate", "--method", "layercam", "--mean", "--faces", "2")
    subprocess.run([*command, *parts, "-o", tmp_path / "mean.svg"], check=True)
    assert (tmp_path / "mean.svg").read_text(encoding="utf-8").count("mean of 2") == 14
