"""What strangers bring: real files, real habits. One class for each kind: the first report and its kin."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from archives import rows_of
from PIL import Image
from running_server import running, tiny_settings
from tiny_model import MakeModel, tiny_card
from written_video import write_video

from mien.core.expressions import COLOURS

SURE, UNSURE = 250, 150
"""Brightness of an image that the tiny model is sure is happy, and of one for which it is not."""


@pytest.fixture
def brightness(make_model: MakeModel) -> list[Any]:
    """The options for a model without rejection that takes each image as one face."""
    card = dataclasses.replace(tiny_card(reject_threshold=None), unsure_threshold=0.7)
    return ["--model", make_model(card, outputs=7), "--detector", "none"]


def save_grey(path: Path, *levels: int, size: int = 64) -> Path:
    """Save images of equal brightness as 0.png, 1.png, ... in a folder."""
    path.mkdir(parents=True, exist_ok=True)
    for number, level in enumerate(levels):
        Image.new("L", (size, size), level).save(path / f"{number}.png")
    return path


class TestOneUnsureRule:
    """A face below the model's threshold counts as unsure, whatever shows or counts it."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return save_grey(tmp_path / "in", SURE, UNSURE, UNSURE, UNSURE)

    def test_table(self, mien, folder, brightness):
        _, printed, _ = mien("recognize", folder, *brightness)
        assert printed.count("unsure (happy?)") == 3
        assert "unsure 75 % (3 of 4), happy 25 % (1 of 4)" in printed

    def test_json_and_csv(self, mien, folder, brightness):
        _, printed, _ = mien("recognize", folder, *brightness, "--format", "json")
        results = [json.loads(line) for line in printed.splitlines()]
        assert [result["faces"][0]["unsure"] for result in results] == [False, True, True, True]
        assert [(r["shares"]["happy"], r["shares"]["unsure"]) for r in results] == [(1, 0), (0, 1), (0, 1), (0, 1)]
        _, printed, _ = mien("recognize", folder, *brightness, "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(printed)))
        assert [(row["label"], row["unsure"]) for row in rows] == [("happy", "0"), *[("happy", "1")] * 3]

    def test_parquet(self, mien, folder, brightness, tmp_path):
        out = tmp_path / "out.parquet"
        _, printed, _ = mien("annotate", folder, "-o", out, *brightness, "--workers", 1)
        assert [row["unsure"] for row in rows_of(out)] == [0, 1, 1, 1]
        assert "unsure 75 % (3 of 4), happy 25 % (1 of 4)" in printed

    def test_drawings(self, mien, folder, brightness, tmp_path):
        mien("recognize", folder, *brightness, "--save", tmp_path / "out")
        colours = [
            set(map(tuple, np.asarray(Image.open(tmp_path / "out" / f"{number}.png")).reshape(-1, 3).tolist()))
            for number in (0, 1)
        ]
        assert [COLOURS["happy"] in found for found in colours] == [True, False]

    def test_video(self, mien, brightness, tmp_path):
        levels = [SURE] * 10 + [UNSURE] * 30
        path = write_video(tmp_path / "clip.mp4", [np.full((64, 64, 3), level, np.uint8) for level in levels])
        saved = ["--save", tmp_path / "out", "--no-video", "--smoothing", "off"]
        _, printed, _ = mien("recognize", path, *brightness, *saved)
        assert "1 person. Expressions: unsure 100 % (1 of 1)" in printed
        assert "Expressions by time: unsure 75 %, happy 25 %" in printed
        summary = json.loads((tmp_path / "out" / "clip-summary.json").read_text())
        assert (summary["share_of_time"]["happy"], summary["share_of_time"]["unsure"]) == (0.25, 0.75)
        assert summary["share_of_people"]["unsure"] == 1
        assert ">unsure</text>" in (tmp_path / "out" / "clip-timeline.svg").read_text()
        rows = list(csv.DictReader((tmp_path / "out" / "clip.csv").read_text().splitlines()))
        assert [row["unsure"] for row in rows] == ["0"] * 10 + ["1"] * 30

    def test_server(self, folder, brightness):
        files = [("images", path.read_bytes()) for path in sorted(folder.iterdir())]
        with running(tiny_settings(brightness[1])) as server:
            images = httpx.post(f"{server.address}/v1/recognize?detector=none", files=files).json()["images"]
        assert [image["faces"][0]["unsure"] for image in images] == [False, True, True, True]
        assert [image["shares"]["unsure"] for image in images] == [0, 1, 1, 1]
