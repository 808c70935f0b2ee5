"""What strangers bring: real files, real habits. One class for each kind: the first report and its kin."""

from __future__ import annotations

import codecs
import contextlib
import copy
import csv
import dataclasses
import errno
import functools
import http.server
import io
import itertools
import json
import math
import multiprocessing
import os
import pickle
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import tomllib
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from importlib import metadata
from pathlib import Path
from time import process_time
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import av
import cv2
import httpx
import numpy as np
import onnx
import pandas as pd
import pytest
import tifffile
import torch
from archives import bad_of, rows_of
from av.stream import Disposition
from browser import jpeg, launch, needs_chromium, opened, upload, wait_for_text, wait_until
from images import HEIC, bmp, encoded, png_chunk, tiff_with_tag, with_jpeg_segment, with_png_chunks
from numpy.typing import NDArray
from onnx import helper
from PIL import Image
from playwright.sync_api import sync_playwright
from running_server import RunningServer, running, tiny_settings
from square_detector import SquareDetector
from tiny_detector import spots
from tiny_model import MakeModel, tiny_card, tiny_network
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from written_video import Track, beeps, grey_frames, put_metadata_first, write_flashes, write_tracks, write_video

import mien as mien_package
from mien.apps import cli
from mien.apps.cli import main
from mien.apps.web.problems import ProblemError
from mien.apps.web.settings import ServerSettings, read_key
from mien.apps.web.startup import addresses, describe_model, starting_lines
from mien.core import errors
from mien.core.card import METADATA_KEY, CropSpec, InputSpec
from mien.core.decoding import EXPECTED_FORMATS, EncodedImage, Limits, decode_image, open_image
from mien.core.detector_card import METADATA_KEY as DETECTOR_KEY
from mien.core.detector_card import DetectorCard
from mien.core.errors import ImageError, MienError, MissingExtraError, ModelError, RecipeError
from mien.core.expressions import COLOURS, LabelSet
from mien.core.image import cut_square
from mien.core.serialization import table_columns
from mien.core.types import Box, Face
from mien.data.label_files import read_table
from mien.evaluation.predictions import Predictions
from mien.inference import sources
from mien.inference.archive import pool
from mien.inference.archive.job import ArchiveSettings
from mien.inference.archive.listing import find_images
from mien.inference.archive.run import annotate, bad_list
from mien.inference.archive.worker import ChunkWorker
from mien.inference.draw import draw_still
from mien.inference.label_places import place_labels
from mien.inference.onnx_session import PROVIDERS
from mien.inference.recognizer import Recognizer
from mien.inference.results import ImageResult
from mien.inference.video import VideoError
from mien.inference.video.clock import VideoClock
from mien.inference.video.decoding import EncodedVideo
from mien.inference.video.opening import FILE_FORMATS
from mien.inference.video.sources import SUFFIXES
from mien.recipes.loading import load_recipe
from mien.recipes.queue import load_queue

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


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FILM = grey_frames(12)  # 48 x 64
COVER = np.full((80, 100, 3), 200, np.uint8)
OTHER = [np.full((72, 96, 3), 60, np.uint8)] * 12
COVER_TRACK = Track([COVER], "mjpeg", Disposition.attached_pic)


@pytest.fixture
def recognize(mien, tiny_model, monkeypatch):
    """Run `mien recognize` with the tiny model on whole images."""
    monkeypatch.delenv("MIEN_YUNET", raising=False)
    return lambda *words: mien("recognize", "--model", tiny_model, "--detector", "none", "--keep-all", *words)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each request."""

    def log_message(self, *_):
        """Print nothing."""


def read_frames(path):
    with contextlib.closing(EncodedVideo(path)) as video:
        return list(video.frames())


class TestWrongVideoTrack:
    """Kind 1: a cover, a preview or the wrong one of several tracks was taken for the film."""

    @pytest.mark.parametrize("name", ["cover.mp4", "cover.mov", "cover.3gp"])
    def test_a_cover_before_the_film(self, tmp_path, name):
        path = put_metadata_first(write_tracks(tmp_path / name, [COVER_TRACK, Track(FILM)], sound=0.5, format="mp4"))
        with av.open(str(path)) as container:
            assert container.streams.video[0].disposition & Disposition.attached_pic
        frames = read_frames(path)
        assert (len(frames), frames[0].pixels.shape) == (12, (48, 64, 3))

    @pytest.mark.parametrize(
        ("name", "codec", "flag"),
        [
            ("unmarked.mkv", "libx264", 0),
            ("default.mkv", "libx264", Disposition.default),
            ("unmarked.avi", "mpeg4", 0),
            ("unmarked.asf", "wmv2", 0),
            ("unmarked.nut", "libx264", 0),
        ],
    )
    def test_a_cover_that_is_not_marked_as_cover(self, tmp_path, name, codec, flag):
        cover = Track([COVER], "mjpeg", flag)
        assert len(read_frames(write_tracks(tmp_path / name, [cover, Track(FILM, codec)]))) == 12

    def test_a_film_with_an_attached_cover(self, tmp_path):
        with av.open(str(tmp_path / "a.mkv"), "w") as container:
            film = container.add_stream("libx264", rate=25)
            film.height, film.width, film.pix_fmt = 48, 64, "yuv420p"
            container.add_attachment("cover.jpg", "image/jpeg", cv2.imencode(".jpg", COVER)[1].tobytes())
            for pixels in FILM:
                container.mux(film.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(film.encode())
        assert len(read_frames(tmp_path / "a.mkv")) == 12

    @pytest.mark.parametrize("name", ["two.mkv", "two.mp4", "two.mov", "two.nut"])
    def test_the_default_one_of_several_tracks(self, tmp_path, name):
        tracks = [Track(OTHER), Track(FILM, disposition=Disposition.default), Track(OTHER)]
        frames = read_frames(write_tracks(tmp_path / name, tracks))
        assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}

    def test_a_commentary_that_claims_to_be_default(self, tmp_path):
        both = Disposition.default | Disposition.comment
        tracks = [Track(OTHER, disposition=both), Track(FILM, disposition=Disposition.default)]
        assert read_frames(write_tracks(tmp_path / "a.mkv", tracks))[0].pixels.shape == (48, 64, 3)

    @pytest.mark.parametrize(
        ("name", "format", "track"),
        [
            ("song.m4a", "mp4", COVER_TRACK),
            ("song.mp4", "mp4", COVER_TRACK),
            ("song.mka", "matroska", Track([COVER], "mjpeg")),
            ("song.avi", "avi", Track([COVER], "mjpeg")),
        ],
    )
    def test_an_audio_file_with_a_cover_is_not_a_video(self, recognize, tmp_path, name, format, track):
        song = write_tracks(tmp_path / name, [track], sound=1, format=format)
        code, printed, error = recognize(song, write_video(tmp_path / "film.mp4", FILM), "--format", "json")
        assert code == 1
        assert "has no video, only audio and a cover image" in error
        assert {json.loads(line)["source"] for line in printed.splitlines()} == {str(tmp_path / "film.mp4")}

    def test_an_audio_file_leaves_no_results(self, recognize, tmp_path):
        song = write_tracks(tmp_path / "song.mka", [Track([COVER], "mjpeg")], sound=1, format="matroska")
        code, printed, error = recognize(song, "--save", tmp_path / "out")
        assert (code, printed, error.count("\n")) == (1, "", 1)
        assert list((tmp_path / "out").iterdir()) == []

    def test_an_old_camera_s_film_of_jpegs_with_sound_is_a_video(self, tmp_path):
        assert len(read_frames(write_tracks(tmp_path / "a.avi", [Track(FILM, "mjpeg")], sound=0.5))) == 12


class TestMirroredVideos:
    """Kind 2: of a display matrix, only the rotation was read, so mirrored videos were upside down."""

    SCENE = np.zeros((144, 192, 3), np.uint8)
    SCENE[:72, :96], SCENE[:72, 96:], SCENE[72:, :96] = (250, 30, 30), (30, 250, 30), (30, 30, 250)

    # degrees counter-clockwise, then mirrored left to right
    ORIENTATIONS = tuple((degrees, is_mirrored) for degrees in (0, 90, 180, 270) for is_mirrored in (False, True))

    def stored(self, degrees, is_mirrored):
        """Return what a camera stores of the scene for a player that turns it upright."""
        pixels = self.SCENE[:, ::-1] if is_mirrored else self.SCENE
        return np.ascontiguousarray(np.rot90(pixels, -degrees // 90))

    def write(self, path, degrees, is_mirrored, is_flipped=False):
        frames = [self.stored(degrees, is_mirrored)] * 6
        with av.open(str(path), "w") as container:
            video = container.add_stream("libx264", rate=25)
            video.height, video.width = frames[0].shape[:2]
            video.set_display_rotation(degrees, hflip=is_mirrored, vflip=is_flipped)
            for pixels in frames:
                container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(video.encode())
        return path

    @pytest.mark.parametrize(("degrees", "is_mirrored"), ORIENTATIONS)
    @pytest.mark.parametrize("suffix", ["mp4", "mov"])
    def test_all_eight_orientations(self, tmp_path, degrees, is_mirrored, suffix):
        pixels = read_frames(self.write(tmp_path / f"a.{suffix}", degrees, is_mirrored))[0].pixels
        assert pixels.shape == self.SCENE.shape
        assert np.abs(pixels[6:-6].astype(int) - self.SCENE[6:-6]).mean() < 12

    @pytest.mark.parametrize(("degrees", "is_mirrored"), ORIENTATIONS)
    def test_the_annotated_video_is_upright_too(self, recognize, tmp_path, degrees, is_mirrored):
        path = self.write(tmp_path / "a.mp4", degrees, is_mirrored)
        code, _, error = recognize(path, "--save", tmp_path / "out")
        assert code == 0, error
        quarter = read_frames(tmp_path / "out" / "a.mp4")[3].pixels[78:96, 12:84]
        assert np.abs(quarter.astype(int).mean((0, 1)) - (30, 30, 250)).max() < 60

    def test_a_vertical_flip(self, tmp_path):
        frames = read_frames(self.write(tmp_path / "a.mp4", 0, False, is_flipped=True))
        assert np.abs(frames[0].pixels[6:-6].astype(int) - self.SCENE[::-1][6:-6]).mean() < 12

    @pytest.mark.parametrize("scale", [1, 3])
    def test_wide_pixels_that_are_turned(self, tmp_path, scale):
        path = write_video(tmp_path / "a.mp4", FILM, rotation=90, aspect=scale)
        assert read_frames(path)[0].pixels.shape == (64 * scale, 48, 3)

    def test_a_matrix_that_is_no_orientation(self, tmp_path):
        for number, matrix in enumerate(([0] * 9, [46341, 46341, 0, -46341, 46341, 0, 0, 0, 2**30])):
            with av.open(str(tmp_path / f"{number}.mp4"), "w") as container:
                video = container.add_stream("libx264", rate=25)
                video.height, video.width = 144, 192
                video.set_display_matrix(matrix)
                container.mux(video.encode(av.VideoFrame.from_ndarray(self.SCENE, format="rgb24")))
                container.mux(video.encode())
            pixels = read_frames(tmp_path / f"{number}.mp4")[0].pixels
            assert np.abs(pixels[6:-6].astype(int) - self.SCENE[6:-6]).mean() < 12


class TestScoresOfFewerLabels:
    """Kind 3: answers for which a data set has no label were dropped and the rest rescaled, which flatters a model."""

    @pytest.fixture
    def model(self, make_model) -> Path:
        """Says happy of bright images and sad of dark ones, but rather angry than happy of dark ones."""
        return make_model(tiny_card(reject_threshold=None), outputs=7)

    @pytest.fixture
    def data(self, tmp_path) -> Path:
        """A folder without splits: 10 bright faces called happy, 10 dark ones called angry."""
        for label, level in (("happy", 200), ("angry", 20)):
            save_grey(tmp_path / "data" / label, *(level + i for i in range(10)), size=48)
        return tmp_path / "data"

    def evaluate(self, mien, model, data, *words):
        code, printed, err = mien("evaluate", model, "--data", data, "--out", data.parent, "--json", *words)
        assert code == 0, err
        return json.loads(printed), err

    def test_all_labels_and_all_images_by_default(self, mien, model, data):
        scores, err = self.evaluate(mien, model, data)
        assert (scores["n"], scores["split"], scores["accuracy"]) == (20, "all", 0.5)
        assert sorted(scores["labels"]) == sorted(tiny_card().labels.names)
        assert scores["per_class"]["sad"] == {"precision": 0, "recall": None, "f1": 0, "n": 0}
        assert (scores["macro_f1"], scores["mean_class_accuracy"]) == (pytest.approx(1 / 3), 0.5)
        assert scores["nll"] > 1.5
        assert "The data are not divided: scored 20 images (all). See --split." in err

    def test_labels_of_data_is_asked_for_and_said(self, mien, model, data):
        scores, _ = self.evaluate(mien, model, data, "--labels-of-data")
        assert (scores["accuracy"], scores["labels"]) == (1.0, ["angry", "happy"])
        assert scores["left_out"] == ["disgust", "fear", "sad", "surprise", "neutral"]
        file = data.parent / "predictions-tiny-folder-data-all.npz"
        assert Predictions.load(file).left_out == tuple(scores["left_out"])
        _, printed, _ = mien("score", file)
        assert "labels disgust, fear, sad, surprise, neutral are left out, which flatters it." in " ".join(
            printed.split()
        )
        _, printed, _ = mien("evaluate", model, "--data", data, "--out", data.parent)
        expected = "Labels: all 7 of the model; the data have no images of disgust, fear, sad, surprise, neutral."
        assert expected in " ".join(printed.split())

    def test_splits(self, mien, model, data):
        scores, err = self.evaluate(mien, model, data, "--split", "validation")
        assert (scores["n"], scores["split"]) == (4, "validation")
        assert "scored 4 images (split 'validation', drawn from 20 images)" in err
        for label in ("happy", "angry"):
            save_grey(data.parent / "divided" / "train" / label, 90, size=48)
            save_grey(data.parent / "divided" / "test" / label, 91, 92, size=48)
            save_grey(data.parent / "divided" / "validation" / label, 93, size=48)
        for words, n in (((), 2), (("--split", "test"), 4), (("--split", "all"), 8)):
            scores, err = self.evaluate(mien, model, data.parent / "divided", *words)
            assert scores["n"] == n
            assert "not divided" not in err
        code, _, err = mien("evaluate", model, "--data", data, "--split", "al")
        assert (code, "no split 'al'" in err) == (1, True)

    def test_a_model_trained_on_such_data_is_scored_on_images_set_aside(self, mien, make_model, data):
        card = dataclasses.replace(tiny_card(reject_threshold=None), recipe={"data": {"dataset": "folder"}})
        scores, _ = self.evaluate(mien, make_model(card, outputs=7), data)
        assert (scores["n"], scores["split"]) == (4, "validation")

    def test_robustness(self, mien, model, data):
        words = ("--only", "low_light", "--split", "all", "--json")
        code, printed, err = mien("robustness", model, "--data", data, *words)
        assert code == 0, err
        assert json.loads(printed)["clean"]["accuracy"] == 0.5

    def test_models_with_other_labels_are_compared(self, mien, make_model, model, data):
        eight = LabelSet.of([*tiny_card().labels.names, "contempt"])
        card = dataclasses.replace(tiny_card(reject_threshold=None), name="eight", labels=eight)
        self.evaluate(mien, model, data)
        self.evaluate(mien, make_model(card, outputs=8, name="eight.onnx"), data)
        files = [data.parent / f"predictions-{name}-folder-data-all.npz" for name in ("tiny", "eight")]
        code, printed, err = mien("compare", *files, "--json")
        assert code == 0, err
        assert json.loads(printed)["first"]["accuracy"] == 0.5
        self.evaluate(mien, model, data, "--labels-of-data")
        code, _, err = mien("compare", *files)
        assert (code, "evaluate both with --labels-of-data, or neither" in err) == (1, True)


def write_tiff(samples: NDArray[Any], **options: Any) -> bytes:
    """Write (h, w) or (h, w, samples) as TIFF; `is_planar` puts the samples in planes, `order` is < or >."""
    if is_planar := options.pop("is_planar", False):
        samples = np.moveaxis(samples, -1, 0)
    if samples.ndim == 3:
        options["planarconfig"] = "separate" if is_planar else "contig"
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=options.pop("order", "<"), bigtiff=options.pop("big", False)) as file:
        file.write(samples, **options)
    return buffer.getvalue()


def error_of(data: bytes) -> str:
    with pytest.raises(ImageError) as caught:
        decode_image(data, "x")
    return str(caught.value)


class TestTiffVariants:
    """Kind 4: any combination of bits, planes, colours, compression and byte order is read right or refused by name."""

    COLOURS = ("minisblack", "miniswhite", "rgb", "separated", "ycbcr", "cielab")
    STORAGE = (
        {},
        {"compression": "zlib"},
        {"tile": (16, 16)},
        {"rowsperstrip": 5},
        {"compression": "zlib", "predictor": True},
    )

    @staticmethod
    def sample(samples: int) -> NDArray[np.float64]:
        """Shades that no two samples share, from 0 to 1: (19, 23) or (19, 23, samples)."""
        y, x, sample = np.indices((19, 23, samples))
        values = (11 * x + 7 * y + 83 * sample) % 256 / 255
        return values[..., 0] if samples == 1 else values

    @staticmethod
    def truth(values: NDArray[np.float64], colours: str) -> NDArray[np.float64]:
        """What an image of these samples looks like, as RGB on white."""
        if values.ndim == 2:
            return np.repeat((1 - values if colours == "miniswhite" else values)[..., None], 3, axis=2)
        if colours == "separated":
            return (1 - values[..., :3]) * (1 - values[..., 3:])
        if colours == "ycbcr":
            y, blue, red = values[..., 0], values[..., 1] - 128 / 255, values[..., 2] - 128 / 255
            mixed = (y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue)
            return np.clip(np.stack(mixed, axis=-1), 0, 1)
        if values.shape[2] == 4:
            return values[..., :3] * values[..., 3:] + 1 - values[..., 3:]
        return values

    @pytest.mark.parametrize("is_planar", [False, True])
    @pytest.mark.parametrize(
        "kind", [np.uint8, np.uint16, np.uint32, np.int8, np.int16, np.float16, np.float32, np.float64]
    )
    def test_never_noise(self, kind, is_planar):
        read = set()
        for samples, colours, storage, order in itertools.product((1, 3, 4), self.COLOURS, self.STORAGE, "<>"):
            needed = {"minisblack": (1,), "miniswhite": (1,), "separated": (4,), "rgb": (3, 4)}.get(colours, (3,))
            is_float = np.issubdtype(kind, np.floating)
            if samples not in needed or (is_planar and samples == 1) or (is_float and "predictor" in storage):
                continue
            values = self.sample(samples)
            stored = values if is_float else np.round(values * np.iinfo(kind).max)
            extra = {"extrasamples": ["unassalpha"]} if (colours, samples) == ("rgb", 4) else {}
            data = write_tiff(
                stored.astype(kind), photometric=colours, is_planar=is_planar, order=order, **storage, **extra
            )
            try:
                pixels = decode_image(data, "x")
            except ImageError as error:
                assert "TIFF cannot be read" in str(error)  # noqa: PT017 - either is right
                continue
            assert np.abs(pixels / 255 - self.truth(values, colours)).max() < 0.025
            read.add((colours, samples))
        expected = {("rgb", 3), ("rgb", 4), ("separated", 4)}
        if not is_planar:
            expected |= {("minisblack", 1)} | ({("miniswhite", 1), ("ycbcr", 3)} if kind is np.uint8 else set())
        assert read == {
            np.uint8: expected,
            np.uint16: expected,
            np.float32: set() if is_planar else {("minisblack", 1)},
        }.get(kind, set())

    @pytest.mark.parametrize("big", [False, True])
    def test_planar_16_bits_are_read(self, big):
        values = self.sample(3)
        for storage, order in itertools.product(({}, {"rowsperstrip": 5}, {"compression": "zlib"}), "<>"):
            stored = np.round(values * 65535).astype(np.uint16)
            pixels = decode_image(
                write_tiff(stored, photometric="rgb", is_planar=True, order=order, big=big, **storage)
            )
            assert np.abs(pixels / 255 - values).max() < 0.003

    def test_the_refused_variant_is_named(self):
        data = write_tiff(np.zeros((9, 9), np.uint16), photometric="miniswhite")
        expected = "x: This variant of TIFF cannot be read: inverted grey, 1 x 16 bits, compression 1; save it as PNG."
        assert error_of(data) == expected
        assert "signed bits" in error_of(write_tiff(np.zeros((9, 9), np.int16)))
        assert "in separate planes" in error_of(
            write_tiff(np.zeros((32, 32, 3), np.uint16), photometric="rgb", is_planar=True, tile=(16, 16))
        )

    def test_previews_of_raw_files_are_not_the_image(self):
        preview = write_tiff(np.zeros((9, 9), np.uint8), subfiletype=1)
        assert "a camera's raw file" in error_of(preview)
        dng = write_tiff(np.zeros((9, 9), np.uint8), extratags=[(50706, 1, 4, (1, 4, 0, 0), True)])
        assert "a camera's raw file" in error_of(dng)

    def test_a_file_cut_off_by_a_byte_is_refused(self):
        data = write_tiff(np.full((9, 9), 100, np.uint8))
        place = tifffile.TiffFile(io.BytesIO(data)).pages[0].dataoffsets[0]
        assert "pixels are missing" in error_of(data[: place + 80])


class TestClocksThatJump:
    """Kind 6: the second of two joined clips of under a second lost its times."""

    def clip(self, path, count=12, start=0.0, codec="libx264"):
        times = [start + number / 25 for number in range(count)]
        return write_video(path, grey_frames(count), times=times, codec=codec).read_bytes()

    @pytest.mark.parametrize(
        ("suffix", "codec"),
        [("ts", "libx264"), ("h264", "libx264"), ("hevc", "libx265"), ("mjpeg", "mjpeg"), ("avi", "mpeg4")],
    )
    def test_joined_clips_of_half_a_second(self, tmp_path, suffix, codec):
        parts = [Track(grey_frames(12), codec), Track(grey_frames(9), codec), Track(grey_frames(14), codec)]
        joined = b"".join(write_tracks(tmp_path / f"a.{suffix}", [part]).read_bytes() for part in parts)
        (tmp_path / f"b.{suffix}").write_bytes(joined)
        times = [frame.time for frame in read_frames(tmp_path / f"b.{suffix}")]
        assert len(times) == 35
        assert np.allclose(np.diff(times), 0.04, atol=0.001)

    @pytest.mark.parametrize(("suffix", "codec"), [("mkv", "libx264"), ("webm", "libvpx")])
    def test_two_joined_clips(self, tmp_path, suffix, codec):
        part = write_tracks(tmp_path / f"a.{suffix}", [Track(FILM, codec)]).read_bytes()
        (tmp_path / f"b.{suffix}").write_bytes(part * 2)
        times = [frame.time for frame in read_frames(tmp_path / f"b.{suffix}")]
        assert len(times) == 24
        assert np.allclose(np.diff(times), 0.04, atol=0.001)

    @pytest.mark.parametrize(
        ("suffix", "codec", "copies"),
        [("mp4", "libx264", 2), ("mov", "libx264", 2), ("flv", "flv", 2), ("asf", "wmv2", 2), ("mkv", "libx264", 3)],
    )
    def test_what_the_decoder_skips_is_said(self, recognize, tmp_path, suffix, codec, copies):
        part = write_tracks(tmp_path / f"a.{suffix}", [Track(FILM, codec)]).read_bytes()
        (tmp_path / f"b.{suffix}").write_bytes(part * copies)
        code, printed, error = recognize(tmp_path / f"b.{suffix}", "--format", "json")
        assert code == 1
        assert "holds another video" in error
        assert len(printed.splitlines()) == 12 * (copies - 1)

    @pytest.mark.parametrize("suffix", ["mpg", "vob"])
    def test_joined_clips_of_a_disc(self, tmp_path, suffix):
        part = write_tracks(tmp_path / f"a.{suffix}", [Track(FILM, "mpeg2video")]).read_bytes()
        (tmp_path / f"b.{suffix}").write_bytes(part * 3)
        one, three = ([f.time for f in read_frames(tmp_path / f"{name}.{suffix}")] for name in "ab")
        assert len(three) == 36
        assert three[-1] == pytest.approx(3 * one[-1] + 2 * 0.04, abs=0.01)
        assert min(np.diff(three)) > 0.03

    def test_many_clips_of_two_frames(self, tmp_path):
        (tmp_path / "b.ts").write_bytes(self.clip(tmp_path / "a.ts", 2) * 10)
        times = [frame.time for frame in read_frames(tmp_path / "b.ts")]
        assert np.allclose(np.diff(times), 0.04, atol=0.011)  # FFmpeg takes 20 frames per second for its rate

    @pytest.mark.parametrize(("first", "second"), [(100, 0), (0, 100), (7200, 0), (0, 90000)])
    def test_the_clock_of_the_second_clip_is_another(self, tmp_path, first, second):
        parts = self.clip(tmp_path / "a.ts", 12, first), self.clip(tmp_path / "b.ts", 12, second)
        (tmp_path / "c.ts").write_bytes(b"".join(parts))
        times = [frame.time for frame in read_frames(tmp_path / "c.ts")]
        assert np.allclose(np.diff(times), 0.04, atol=0.001)

    def test_a_pause_is_a_pause(self, tmp_path):
        times = [0, 0.04, 0.08, 30, 30.04, 30.08]
        path = write_video(tmp_path / "a.mp4", grey_frames(6), times=times)
        assert np.allclose([frame.time for frame in read_frames(path)], times, atol=0.002)

    def test_one_wrong_time_costs_one_frame_its_time(self):
        clock = VideoClock(0.04, can_jump=False)
        moved = []
        for moment in (50.0, 50.04, 0.0, 50.12, 50.16):
            packet = av.Packet(1)
            packet.pts = packet.dts = round(moment * 1000)
            packet.time_base = Fraction(1, 1000)
            clock.move_video(packet)
            moved.append(packet.pts / 1000)
        assert moved == pytest.approx([50.0, 50.04, 50.08, 50.12, 50.16])

    def test_no_frame_of_a_file_on_a_web_server_is_dropped(self, recognize, tmp_path):
        (tmp_path / "b.ts").write_bytes(self.clip(tmp_path / "a.ts", start=100) + self.clip(tmp_path / "c.ts"))
        handler = functools.partial(QuietHandler, directory=tmp_path)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            code, printed, error = recognize(f"http://127.0.0.1:{server.server_port}/b.ts", "--format", "json")
            server.shutdown()
        assert code == 0, error
        times = [json.loads(line)["time"] for line in printed.splitlines()]
        assert np.allclose(times, np.arange(24) / 25, atol=0.002)

    def test_results_of_joined_clips_keep_their_order(self, recognize, tmp_path):
        (tmp_path / "b.ts").write_bytes(self.clip(tmp_path / "a.ts") * 3)
        code, printed, error = recognize(tmp_path / "b.ts", "--format", "json")
        assert code == 0, error
        lines = [json.loads(line) for line in printed.splitlines()]
        assert [line["frame"] for line in lines] == list(range(36))
        assert lines[-1]["time"] == pytest.approx(35 / 25, abs=0.002)
        assert sum(len(line["faces"]) for line in lines) == 36


def make_unreadable(name: str, kind: str) -> Path:
    """Return a path in the current folder that is not a readable file, made unless its name rules that out."""
    path = Path(name)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
    elif kind == "folder":
        path.mkdir()
    elif kind == "dangling link":
        path.symlink_to(f"nowhere{path.suffix}")
    elif kind == "looping link":
        path.symlink_to(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link to a pipe":
        os.mkfifo("pipe")
        path.symlink_to("pipe")
    elif kind == "long name":
        path = Path(f"{'x' * 300}{path.suffix}")
    elif kind == "line break":
        path = Path(f"{path.stem}\n{path.suffix}")
    return path


class TestInaccessibleVideos:
    """Kind 7, videos: one that cannot be opened ended the run, was passed over in silence or waited for ever."""

    KINDS = ("pipe", "socket", "folder", "dangling link", "looping link", "device", "link to a pipe", "long name")

    @pytest.mark.parametrize("kind", [*KINDS, "line break", "missing"])
    def test_one_line_and_the_others_are_read(self, recognize, tmp_path, monkeypatch, kind):
        monkeypatch.chdir(tmp_path)  # the name of a socket is at most 108 bytes long
        good = write_tracks(tmp_path / "good.mp4", [Track(FILM)])
        bad = make_unreadable("bad.mp4", kind)
        code, printed, error = recognize(bad, good, "--format", "json")
        assert code == 1
        (line,) = [line for line in error.splitlines() if line.startswith("error: ")]
        assert str(bad)[:60].split("\n")[0] in line
        assert "cannot be opened" in line
        assert {json.loads(line)["source"] for line in printed.splitlines()} == {str(good)}

    @pytest.mark.parametrize("kind", KINDS[:-1])
    def test_a_pattern_passes_over_nothing(self, recognize, tmp_path, monkeypatch, kind):
        monkeypatch.chdir(tmp_path)
        write_tracks(tmp_path / "good.mp4", [Track(FILM)])
        make_unreadable("bad.mp4", kind)
        code, printed, error = recognize("*.mp4", "--format", "json", "--save", "out")
        assert code == 1
        assert error.count("error: bad.mp4") == 1
        assert len(printed.splitlines()) == 12
        assert {path.name for path in (tmp_path / "out").glob("*.mp4")} == {"good.mp4"}

    def test_python_never_waits_for_a_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "a.mp4")
        with pytest.raises(VideoError, match="named pipe"):
            mien_package.stream(tmp_path / "a.mp4", Recognizer(detector="none"))


class TestInaccessibleSources:
    """Kind 7: an inaccessible image ended the run, was passed over in silence, or was waited for without end."""

    KINDS = ("pipe", "socket", "folder", "dangling link", "looping link", "device", "long name", "zero byte")

    @pytest.fixture
    def closed(self, monkeypatch):
        """Make folders named "closed" impossible to open, which the rights of root do not allow otherwise."""
        scandir = os.scandir

        def refuse(path="."):
            if os.fspath(path).rstrip("/").endswith("closed"):
                raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refuse)

    @pytest.mark.parametrize("kind", KINDS[:-1])
    def test_named(self, mien, brightness, tmp_path, monkeypatch, kind):
        monkeypatch.chdir(save_grey(tmp_path / "in", SURE))
        bad = make_unreadable("bad.png", kind)
        code, printed, err = mien("recognize", bad, "0.png", *brightness, "--format", "json")
        assert code == 1
        assert err.startswith(f"error: {bad}")
        assert err.count("\n") == 1
        assert [json.loads(line)["source"] for line in printed.splitlines()] == ["0.png"]

    @pytest.mark.parametrize("kind", ["pipe", "socket", "dangling link", "looping link", "device"])
    @pytest.mark.parametrize("source", [".", "*.png", "**"])
    def test_found(self, mien, brightness, tmp_path, monkeypatch, kind, source):  # noqa: PLR0917
        monkeypatch.chdir(save_grey(tmp_path / "in", SURE))
        make_unreadable("bad.png", kind)
        code, printed, err = mien("recognize", source, *brightness, "--format", "json")
        assert (code, err.count("\n")) == (1, 1)
        assert err.startswith("error: bad.png cannot be read (")
        assert len(printed.splitlines()) == 1

    def test_a_folder_says_what_was_skipped(self, mien, brightness, tmp_path, closed):
        folder = save_grey(tmp_path / "in", SURE)
        for name in ("a.txt", "b.TXT", "c.psd", "Makefile", ".hidden"):
            (folder / name).touch()
        (folder / "closed").mkdir()
        (folder / "elsewhere").symlink_to(tmp_path)
        code, printed, err = mien("recognize", folder, *brightness, "--format", "json")
        assert len(printed.splitlines()) == 1
        assert code == 1
        assert err.splitlines() == [
            f"error: {folder / 'closed'} cannot be searched (Permission denied).",
            "6 files skipped: 2 .txt, 1 .psd, 1 link to a folder, 1 unreadable folder, 1 without a suffix",
        ]
        (folder / "closed").rmdir()
        assert mien("recognize", folder, *brightness)[0] == 0  # other files are no errors

    def test_heic_is_skipped_with_a_hint(self, mien, brightness, tmp_path, monkeypatch):
        monkeypatch.setattr(sources, "SUFFIXES", (".png",))
        (save_grey(tmp_path / "in", SURE) / "photo.HEIC").touch()
        _, _, err = mien("recognize", tmp_path / "in", *brightness)
        assert err == "1 file skipped: 1 .heic; reading HEIC requires the extra 'heic'\n"

    @pytest.mark.parametrize("source", ["closed", "closed/*.png", "*/*.png", "**/*.png"])
    def test_a_closed_folder(self, mien, brightness, tmp_path, monkeypatch, closed, source):  # noqa: PLR0917
        monkeypatch.chdir(tmp_path)
        save_grey(Path("open"), SURE)
        Path("closed").mkdir()
        code, _, err = mien("recognize", source, "open/0.png", *brightness)
        assert code == 1
        assert err.startswith("error: closed cannot be searched (Permission denied).\n")

    def test_annotate(self, mien, brightness, tmp_path, monkeypatch, closed):
        save_grey(tmp_path / "in", SURE, UNSURE)
        monkeypatch.chdir(tmp_path / "in")
        Path("closed").mkdir()
        Path("notes.txt").touch()
        for kind in ("pipe", "socket", "dangling link", "looping link", "device"):
            make_unreadable("bad.png", kind).rename(f"{kind}.png")
        out = tmp_path / "out.parquet"
        with monkeypatch.context() as patch:  # in this process, where "closed" is closed
            patch.setattr(
                pool, "run_processes", lambda job, chunks, *_: (ChunkWorker(job).annotate(n) or n for n in chunks)
            )
            code, printed, err = mien("annotate", tmp_path / "in", "-o", out, *brightness)
        assert (code, "2 images, 2 faces" in printed) == (0, True)
        assert "1 file skipped: 1 .txt\n6 files could not be read" in err
        reasons = bad_of(out)
        assert reasons.pop("closed") == "the folder cannot be searched (Permission denied)."
        assert reasons.pop("pipe.png") == "the file cannot be read (it is a named pipe, not a file)."
        assert reasons.pop("socket.png") == "the file cannot be read (it is a socket, not a file)."
        assert reasons.pop("dangling link.png").endswith("(it is a link to nowhere.png, which does not exist).")
        assert len(reasons) == 2

    @pytest.mark.parametrize("kind", KINDS[:1] + KINDS[3:7])
    def test_annotate_a_source_that_is_no_folder_or_list(self, mien, brightness, tmp_path, monkeypatch, kind):
        monkeypatch.chdir(tmp_path)
        code, _, err = mien("annotate", make_unreadable("bad.png", kind), "-o", "out.parquet", *brightness)
        assert (code, err.count("\n")) == (1, 1)
        assert "no such folder or list of images (" in err

    def test_annotate_a_list_of_inaccessible_files(self, mien, brightness, tmp_path):
        save_grey(tmp_path, SURE)
        lines = ["0.png", "x" * 300 + ".png", "missing.png", "https://example.org/a.png", "."]
        (tmp_path / "list").write_text("\n".join(lines))
        mien("annotate", tmp_path / "list", "-o", tmp_path / "out.parquet", *brightness, "--workers", 1)
        assert len(rows_of(tmp_path / "out.parquet")) == 1
        assert list(bad_of(tmp_path / "out.parquet").values()) == [
            "the file cannot be read (File name too long).",
            "the file cannot be read (No such file or directory).",
            "the file cannot be read (it is an address, not a file; download it and name the file).",
            "the file cannot be read (it is a folder, not a file).",
        ]

    @pytest.mark.parametrize("kind", KINDS)
    def test_python(self, tmp_path, monkeypatch, kind):
        monkeypatch.chdir(tmp_path)
        path = "a\0b.png" if kind == "zero byte" else make_unreadable("bad.png", kind)
        with pytest.raises(ImageError, match="cannot be read"):
            Recognizer(detector="none").recognize(path)

    def test_server(self, brightness):
        good = encoded(Image.new("L", (64, 64), SURE))
        files = [("images", ("a.png", good)), ("images", ("b.png", b"text")), ("images", ("c.png", good))]
        with running(tiny_settings(brightness[1])) as server:
            some = httpx.post(f"{server.address}/v1/recognize?detector=none", files=files)
            none = httpx.post(f"{server.address}/v1/recognize?detector=none", files=files[1:2])
        assert some.status_code == 200
        assert [image["source"] for image in some.json()["images"]] == ["a.png", "c.png"]
        (problem,) = some.json()["problems"]
        assert (problem["source"], problem["status"]) == ("b.png", 422)
        assert "b.png is not an image" in problem["detail"]
        assert none.status_code == 422


class TestOutputThatCannotBeEncoded:
    """Kind 8: a name that the terminal's encoding lacks was a traceback; files are in UTF-8 whatever it is."""

    NAME = "日本 é \udce9.png"  # also a byte that is not UTF-8

    @staticmethod
    def has(printed: bytes, text: str, encoding: str) -> bool:
        """Tell whether a text was printed, with escapes or, as click does for ASCII, in UTF-8."""
        escaped = text.encode(encoding, "backslashreplace")
        return escaped in printed or (encoding == "ascii" and text.encode() in printed)

    @pytest.fixture
    def printed(self, monkeypatch, brightness, tmp_path):
        """Run a command with streams of an encoding; return what it prints, as bytes."""
        folder = save_grey(tmp_path / "in", SURE)
        (folder / "0.png").rename(folder / self.NAME)
        (folder / "日本.jpg").write_text("no image")

        def run(encoding: str, *words: object) -> tuple[bytes, bytes]:
            streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n") for _ in range(2)]
            monkeypatch.setattr(sys, "stdout", streams[0])
            monkeypatch.setattr(sys, "stderr", streams[1])
            monkeypatch.setattr(sys, "argv", ["mien", *map(str, (*words, *brightness))])
            with pytest.raises(SystemExit) as stopped:
                main()
            assert stopped.value.code == (0 if words[0] == "annotate" else 1)
            for stream in streams:
                stream.flush()
            return streams[0].buffer.getvalue(), streams[1].buffer.getvalue()

        return run

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "latin-1", "utf-8"])
    @pytest.mark.parametrize("format", ["table", "json", "csv"])
    def test_images(self, printed, tmp_path, encoding, format):
        out, err = printed(encoding, "recognize", tmp_path / "in", "--format", format)
        assert self.has(err, "日本.jpg is not an image", encoding)
        if format == "table":
            assert "日本 é".encode(encoding, "backslashreplace") in out
        elif format == "json":
            assert json.loads(out)["source"].endswith(self.NAME)
        else:
            (row,) = csv.DictReader(io.StringIO(out.decode("utf-8")))
            assert row["source"].endswith("日本 é ?.png")

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
    def test_videos(self, printed, tmp_path, encoding):
        path = tmp_path / "日本.mp4"
        write_video(path, [np.full((64, 64, 3), SURE, np.uint8)] * 5)
        missing = tmp_path / "é日.mp4"
        for format in ("table", "csv"):
            out, err = printed(encoding, "recognize", path, missing, "--format", format, "--save", tmp_path / "out")
            assert self.has(err, "é日.mp4 cannot", encoding)
            assert "日本.mp4".encode("utf-8" if format == "csv" else encoding, "backslashreplace") in out
        rows = csv.DictReader(io.StringIO((tmp_path / "out" / "日本.csv").read_bytes().decode("utf-8")))
        assert {row["source"] for row in rows} == {str(path)}

    def test_annotate_and_data(self, printed, tmp_path):
        out = tmp_path / "日本.parquet"
        text, _ = printed("ascii", "annotate", tmp_path / "in", "-o", out, "--workers", 1)
        assert self.has(text, "日本.parquet: 1 image", "ascii")
        assert [row["source"] for row in rows_of(out)] == ["日本 é \\xe9.png"]
        assert list(bad_of(out)) == ["日本.jpg"]

    @pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
    def test_in_a_process_of_its_own(self, tmp_path, encoding):
        environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
        command = [sys.executable, "-m", "mien", "recognize", tmp_path / "日本.jpg"]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (1, b"")
        assert self.has(done.stderr, "日本.jpg cannot be read (No such file or directory).\n", encoding)


Y, X = np.mgrid[:60, :80]
GRADIENT = np.stack([3 * X, 4 * Y, X + Y], axis=-1).astype(np.uint8)
PNG = encoded(Image.fromarray(GRADIENT))
JPEG, PROGRESSIVE = (encoded(Image.fromarray(GRADIENT), "JPEG", quality=98, progressive=flag) for flag in (False, True))
TIFF = encoded(Image.fromarray(GRADIENT), "TIFF")
MASKS = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
INVISIBLE = np.dstack([GRADIENT, np.zeros((60, 80), np.uint8)])
MEGABYTES = zlib.compress(bytes(2_000_000))


SHOWN_BY_VIEWERS = {
    "png, text": with_png_chunks(PNG, png_chunk(b"zTXt", b"k\0\0" + MEGABYTES)),
    "png, international text": with_png_chunks(PNG, png_chunk(b"iTXt", b"k\0\1\0\0\0" + MEGABYTES)),
    "png, text at the end": with_png_chunks(PNG, png_chunk(b"zTXt", b"k\0\0" + MEGABYTES), before=b"IEND"),
    "png, 70 MB of texts": with_png_chunks(PNG, *35 * [png_chunk(b"zTXt", b"k\0\0" + MEGABYTES)]),
    "png, profile": with_png_chunks(PNG, png_chunk(b"iCCP", b"k\0\0" + MEGABYTES)),
    "png, damaged text": with_png_chunks(PNG, png_chunk(b"tEXt", b"k\0v", is_damaged=True)),
    "png, damaged gamma": with_png_chunks(PNG, png_chunk(b"gAMA", bytes(4), is_damaged=True)),
    "png, damaged EXIF": with_png_chunks(PNG, png_chunk(b"eXIf", b"II*\0", is_damaged=True)),
    "png, short chromaticities": with_png_chunks(PNG, png_chunk(b"cHRM", b"\0")),
    "jpeg, no end": JPEG[:-2],
    "jpeg, half an end": JPEG[:-1],
    "jpeg, progressive, no end": PROGRESSIVE[:-2],
    "jpeg, no end but zeros": JPEG[:-2] + bytes(5000),
    "jpeg, trailing bytes": JPEG + b"trailer" * 100,
    "jpeg, short JFIF": with_jpeg_segment(JPEG, 0xE0, b"JFIF\0"),
    "jpeg, short Adobe": with_jpeg_segment(JPEG, 0xEE, b"Adobe\0"),
    "jpeg, short ICC": with_jpeg_segment(JPEG, 0xE2, b"ICC_PROFILE\0\5"),
    "jpeg, broken list of images": with_jpeg_segment(JPEG, 0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff"),
    "bmp 5, empty alpha": bmp(INVISIBLE, MASKS),
    "bmp 4, empty alpha": bmp(INVISIBLE, MASKS, header=108),
    "bmp 3, empty alpha": bmp(INVISIBLE, MASKS, header=56),
    "bmp 5, alpha first": bmp(INVISIBLE, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
    "bmp 5, no alpha": bmp(INVISIBLE, (*MASKS[:3], 0)),
    "png, empty alpha": encoded(Image.fromarray(INVISIBLE)),
    "tiff, empty alpha": encoded(Image.fromarray(INVISIBLE), "TIFF"),
    "tiff, XMP of a wrong type": tiff_with_tag(TIFF, 700, 3, 1, 5),
    "tiff, no colours": tiff_with_tag(TIFF, 262, 3, 0, 0),
    "tiff, no number of samples": tiff_with_tag(TIFF, 277, 3, 0, 0),
    "tiff, undefined sample format": tiff_with_tag(TIFF, 339, 3, 1, 4),
    "tiff, extra samples that are not there": tiff_with_tag(TIFF, 338, 3, 1, 0),
    "tiff, profile behind the end": tiff_with_tag(TIFF, 34675, 7, 9999, 10**8),
}


class TestMetadata:
    """Kind 9: metadata do not decide about pixels; what common viewers show is read."""

    @pytest.mark.parametrize("name", SHOWN_BY_VIEWERS)
    def test_is_read(self, name):
        assert np.abs(decode_image(SHOWN_BY_VIEWERS[name], name).astype(int) - GRADIENT).max() <= 6

    @pytest.mark.parametrize("data", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
    def test_missing_pixels_are_still_noticed(self, data):
        for cut in (data[: len(data) // 2], data[:-12], data[: len(data) // 2] + bytes(5000)):
            assert error_of(cut) == "x is damaged or truncated (pixels are missing)."
        assert "damaged or truncated" in error_of(PNG[: len(PNG) // 2])

    def test_orientation_survives(self):
        exif = Image.Exif()
        exif[0x0112] = 6
        upright = np.rot90(GRADIENT, -1)
        png = encoded(Image.fromarray(GRADIENT), exif=exif)
        jpeg = encoded(Image.fromarray(GRADIENT), "JPEG", quality=98, exif=exif)
        tiff = tiff_with_tag(TIFF, 274, 3, 1, 6)
        broken = with_png_chunks(png, png_chunk(b"zTXt", b"k\0\0" + MEGABYTES))
        for data in (png, broken, jpeg, jpeg[:-2], tiff, tiff_with_tag(tiff, 700, 3, 1, 5)):
            assert np.abs(decode_image(data).astype(int) - upright).max() <= 6

    def test_a_variant_that_is_not_read_is_said_to_be_one(self):
        assert "x is a variant of BMP that cannot be read" in error_of(bmp(INVISIBLE, (0x3FF00000, 0xFFC00, 0x3FF, 0)))
        assert "variant of PNG" in error_of(PNG[:25] + b"\x09" + PNG[26:])


WRITTEN = {
    **dict.fromkeys(("a.jpg", "a.jpe", "a.jfif", "a.JPEG", "a.mpo"), ("JPEG", {"quality": 98})),
    **{"a.png": ("PNG", {}), "a.apng": ("PNG", {}), "a.webp": ("WEBP", {"lossless": True}), "a.gif": ("GIF", {})},
    **{"a.bmp": ("BMP", {}), "a.dib": ("BMP", {}), "a.tif": ("TIFF", {}), "a.tiff": ("TIFF", {})},
    **{"a.avif": ("AVIF", {"quality": 98}), "a.jp2": ("JPEG2000", {}), "a.j2k": ("JPEG2000", {"no_jp2": True})},
    **{"a.ppm": ("PPM", {}), "a.pnm": ("PPM", {}), "a.png.jpg": ("PNG", {})},
}


class TestFormats:
    """Kind 9: formats that Pillow can read are read, whatever their suffix; what else has an image's name is named."""

    def test_a_folder_of_every_format(self, mien, brightness, tmp_path):
        folder = tmp_path / "in"
        folder.mkdir()
        for name, (kind, options) in WRITTEN.items():
            (folder / name).write_bytes(encoded(Image.fromarray(GRADIENT), kind, **options))
        for name, kind in (("a.pgm", "L"), ("a.pbm", "1"), ("a.pfm", "F")):
            image = Image.fromarray(GRADIENT).convert(kind)
            (folder / name).write_bytes(encoded(image.point(lambda v: v / 255) if kind == "F" else image, "PPM"))
        code, printed, err = mien("recognize", folder, *brightness, "--format", "json")
        results = [json.loads(line) for line in printed.splitlines()]
        assert (code, err, len(results)) == (0, "", len(WRITTEN) + 3)
        assert {(result["image_width"], result["image_height"]) for result in results} == {(80, 60)}

    @pytest.mark.parametrize(("kind", "options"), [("AVIF", {"quality": 100}), ("JPEG2000", {})])
    def test_pixels_depth_and_orientation(self, kind, options):
        exif = Image.Exif()
        exif[0x0112] = 6
        if kind == "AVIF":
            options = {**options, "exif": exif}
        expected = np.rot90(GRADIENT, -1) if kind == "AVIF" else GRADIENT
        assert (
            np.abs(decode_image(encoded(Image.fromarray(GRADIENT), kind, **options)).astype(int) - expected).max() <= 8
        )
        with pytest.raises(ImageError, match=r"claims more than 0\.004 million pixels"):
            decode_image(encoded(Image.fromarray(GRADIENT), kind), limits=Limits(max_pixels=4000))

    def test_16_bits_of_jpeg_2000_and_pnm(self):
        deep = Image.fromarray(GRADIENT[..., 0].astype(np.uint16) * 257)
        for kind in ("JPEG2000", "PPM"):
            assert np.array_equal(decode_image(encoded(deep, kind))[..., 1], GRADIENT[..., 0])

    def test_heic_is_read_with_its_extra(self):
        pytest.importorskip("pi_heif")
        pixels = decode_image(HEIC)
        assert pixels.shape == (96, 64, 3)
        assert np.abs(pixels[0, 0].astype(int) - (0, 189, 255)).max() < 12

    def test_heic_names_its_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pi_heif", None)
        assert "Reading HEIC images requires the extra 'heic'" in error_of(HEIC)
        assert "or save it as JPEG" in error_of(HEIC)

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b"<!DOCTYPE html><html>", "a web page"),
            (b"%PDF-1.7", "a PDF document"),
            (b"8BPS\0\1", "a Photoshop document"),
            (b"\xef\xbb\xbf<svg xmlns=", "an SVG drawing"),
            (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer, not the file itself"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "a video, or an image of an unknown kind"),
            (b"\0\0\0\x18ftypcrx \0\0\0\0crx isom", "a camera's raw file"),
            (b"\xff\x0a\xfa\x1f", "a JPEG XL image"),
            (b"hello", "not an image"),
        ],
    )
    def test_other_files_are_named(self, data, expected):
        advice = "; `mien.stream` reads videos" if expected.startswith("a video") else ""
        assert error_of(data) == f"x is {expected}; expected {EXPECTED_FORMATS}{advice}."


class TestSeveralFrames:
    """Kind 9: of animations and documents only the first frame was used, in silence."""

    @staticmethod
    def animation(kind: str, **options: Any) -> bytes:
        frames = [Image.new("RGB", (64, 64), (level,) * 3) for level in (SURE, 0, UNSURE)]
        return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)

    ANIMATIONS = (("a.gif", "GIF"), ("a.png", "PNG"), ("a.webp", "WEBP"), ("a.avif", "AVIF"), ("a.tif", "TIFF"))

    @pytest.mark.parametrize(("name", "kind"), ANIMATIONS)
    def test_the_first_or_all(self, mien, brightness, tmp_path, name, kind):
        (tmp_path / name).write_bytes(self.animation(kind))
        code, printed, err = mien("recognize", tmp_path / name, *brightness, "--format", "json")
        assert code == 0
        assert err == f"note: {tmp_path / name} has 3 frames or pages; only the first was used (--all-frames: all).\n"
        (result,) = map(json.loads, printed.splitlines())
        assert (result["frame"], result["frames"], result["faces"][0]["label"]) == (0, 3, "happy")
        code, printed, err = mien("recognize", tmp_path / name, *brightness, "--format", "csv", "--all-frames")
        assert (code, err) == (0, "")
        rows = list(csv.DictReader(io.StringIO(printed)))
        assert [(row["source"], row["frame"]) for row in rows] == [(str(tmp_path / name), str(i)) for i in range(3)]
        assert [row["label"] for row in rows] == ["happy", "sad", "happy"]

    def test_table_and_drawings(self, mien, brightness, tmp_path):
        (tmp_path / "a.gif").write_bytes(self.animation("GIF"))
        save_grey(tmp_path / "one", SURE)
        _, printed, _ = mien(
            "recognize", tmp_path / "a.gif", tmp_path / "one", *brightness, "--all-frames", "--save", tmp_path / "out"
        )
        assert "a.gif, frame 3 of 3\n" in printed
        assert "4 images, 4 faces" in printed
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "a-2.jpg", "a-3.jpg", "a.jpg"]

    def test_explanations(self, mien, brightness, tmp_path):
        (tmp_path / "a.gif").write_bytes(self.animation("GIF"))
        code, printed, err = mien("explain", brightness[1], tmp_path / "a.gif", "--detector", "none")
        assert (code, "face 1, appears happy" in printed) == (0, True)
        assert err == f"note: {tmp_path / 'a.gif'} has 3 frames or pages; only the first was used.\n"

    def test_previews_are_no_frames(self):
        preview = Image.fromarray(GRADIENT[::2, ::2])
        mpo = encoded(Image.fromarray(GRADIENT), "MPO", save_all=True, append_images=[preview])
        assert Image.open(io.BytesIO(mpo)).n_frames == 2
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as file:
            file.write(GRADIENT, photometric="rgb")
            file.write(GRADIENT[::2, ::2], photometric="rgb", subfiletype=1)
        assert [len(EncodedImage(data)) for data in (mpo, buffer.getvalue(), PNG, JPEG)] == [1, 1, 1, 1]

    def test_a_frame_too_large_or_cut_off(self):
        first, second = Image.new("L", (8, 8)), Image.new("L", (800, 800))
        pages = encoded(first, "TIFF", save_all=True, append_images=[second])
        frames = EncodedImage(pages, "x", Limits(max_pixels=1000)).frames()
        assert next(frames).shape == (8, 8, 3)
        with pytest.raises(ImageError, match="million pixels"):
            next(frames)
        animation = self.animation("GIF")
        assert decode_image(animation[:-40]).shape == (64, 64, 3)

    def test_counting_frames_and_tags_takes_time_in_proportion(self):
        tiny = encoded(Image.new("P", (1, 1)), "GIF")
        start = tiny.index(b"\x2c")
        row = struct.pack("<HHHIII", 1, 254, 4, 1_000_000, 1000, 0)

        def count(frames: int) -> float:
            """Return the processor time of counting this many frames, and half as many pages."""
            pages = b"".join(row[:-4] + struct.pack("<I", 8 + len(row) * (i + 1)) for i in range(frames // 2))
            begun = process_time()
            assert len(EncodedImage(tiny[:-1] + tiny[start:-1] * frames + b";")) == frames + 1
            with pytest.raises(ImageError, match="no image"):
                EncodedImage(b"II*\0\x08\0\0\0" + pages)
            return process_time() - begun

        # 16 times as much: 256 times as long if the time grew with the square; the least of two is not of a busy moment
        assert min(count(200_000) for _ in range(2)) < 100 * min(count(12_500) for _ in range(2))

    def test_archive_server_and_python(self, mien, brightness, tmp_path):
        (tmp_path / "in").mkdir()
        for name, kind in self.ANIMATIONS:
            (tmp_path / "in" / name).write_bytes(self.animation(kind))
        save_grey(tmp_path / "in", SURE)
        out = tmp_path / "out.parquet"
        _, printed, err = mien("annotate", tmp_path / "in", "-o", out, *brightness, "--workers", 1)
        assert "6 images, 6 faces" in printed
        assert "note: 5 files have several frames or pages; only the first was used." in err
        assert "frames" not in rows_of(out)[0]
        content = self.animation("GIF")
        assert Recognizer(brightness[1], "none").recognize(content).frames == 3
        with running(tiny_settings(brightness[1])) as server:
            address = f"{server.address}/v1/recognize?detector=none"
            first, second = (httpx.post(address, content=data).json()["images"][0] for data in (content, PNG))
        assert (first["frame"], first["frames"]) == (0, 3)
        assert "frames" not in second


class TestListsFromWindows:
    """Kind 10: byte order marks, UTF-16, CRLF, quotes and backslashes in lists; addresses of images."""

    TEXT = '"0.png"\r\n1.png\r\n"sub\\2.png"\r\nsub\\é.png\r\n\r\n'
    ENCODED = {  # noqa: RUF012
        "utf-8": TEXT.encode(),
        "utf-8 with a mark": codecs.BOM_UTF8 + TEXT.encode(),
        "utf-16, little-endian": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        "utf-16, big-endian": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        "utf-16 without a mark": TEXT.encode("utf-16-le"),
        "ansi": TEXT.encode("cp1252"),
        "between zeros": TEXT.replace("\r\n", "\0").encode(),
    }

    @pytest.fixture
    def folder(self, tmp_path):
        save_grey(tmp_path, SURE, SURE)
        (save_grey(tmp_path / "sub", SURE, SURE, SURE) / "0.png").rename(tmp_path / "sub" / "é.png")
        return tmp_path

    @pytest.mark.parametrize("name", ENCODED)
    def test_lists(self, folder, name):
        (folder / "list.txt").write_bytes(self.ENCODED[name])
        expected = ["0.png", "1.png", "sub/2.png", "sub/é.png"]
        assert list(find_images(folder / "list.txt")) == expected

    def test_annotate(self, mien, brightness, folder):
        (folder / "list.txt").write_bytes(self.ENCODED["utf-16, little-endian"])
        _, printed, _ = mien("annotate", folder / "list.txt", "-o", folder / "out.parquet", *brightness, "--workers", 1)
        assert "4 images, 4 faces" in printed

    def test_names_of_linux_stay(self, folder):
        save_grey(folder, SURE)
        names = ["back\\slash.png", '"quoted', "caf\udce9.png"]
        for name in names:
            (folder / "0.png").rename(folder / name)
            save_grey(folder, SURE)
        (folder / "list.txt").write_bytes(b"\n".join(map(os.fsencode, names)))
        assert list(find_images(folder / "list.txt")) == names

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_other_texts_that_people_write(self, mien, folder, encoding):
        (folder / "own.toml").write_text('base = "default/fer2013"\n', encoding=encoding)
        with pytest.raises(RecipeError) as caught:
            load_recipe(str(folder / "own.toml"), ["no.such=1"])
        assert "is not TOML" not in str(caught.value)
        (folder / "queue.toml").write_text("[[run]]\n", encoding=encoding)
        with pytest.raises(RecipeError) as caught:
            load_queue(folder / "queue.toml")
        assert "is not TOML" not in str(caught.value)
        (folder / "key").write_text("a-key-of-enough-letters\r\n", encoding=encoding)
        assert read_key(folder / "key") == "a-key-of-enough-letters"
        (folder / "labels.csv").write_text("name,label\n0.png,happy\n", encoding=encoding)
        assert [row for _, row in read_table(folder / "labels.csv", ["name", "label"])] == [
            {"name": "0.png", "label": "happy"}
        ]

    @pytest.mark.parametrize(
        "address",
        ["https://example.org/a/photo.jpg?size=2", "HTTP://example.org/photo.PNG", "file:///home/me/photo.jpg",
         "s3://bucket/photo.jpg", "data:image/png;base64,AAAA"],
    )  # fmt: skip
    def test_addresses_of_images(self, mien, brightness, folder, address):
        code, printed, err = mien("recognize", address, folder / "0.png", *brightness, "--format", "json")
        assert (code, len(printed.splitlines())) == (1, 1)
        expected = "it is an address, not a file; download it and name the file"
        assert err == f"error: {address} cannot be read ({expected}).\n"
        with pytest.raises(ImageError, match="it is an address"):
            Recognizer(detector="none").recognize(address)

    def test_an_address_that_does_not_look_like_an_image_s(self, mien, brightness, folder):
        (folder / "photo").write_bytes(JPEG)
        handler = functools.partial(QuietHandler, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            code, _, err = mien("recognize", f"http://127.0.0.1:{server.server_port}/photo", *brightness)
            server.shutdown()
        assert code == 1
        assert "/photo is not a stream of video that FFmpeg can read; download an image, and name the file." in err


class TestEndingsOfVideos:
    """Kind 10, videos: endings that the decoder knows were taken for images."""

    @pytest.mark.parametrize(
        ("ending", "codec", "format"),
        [
            ("h264", "libx264", "h264"),
            ("264", "libx264", "h264"),
            ("hevc", "libx265", "hevc"),
            ("y4m", "rawvideo", "yuv4mpegpipe"),
            ("vob", "mpeg2video", "vob"),
            ("m2v", "mpeg2video", "mpeg2video"),
            ("VOB", "mpeg2video", "dvd"),
            ("mjpg", "mjpeg", "mjpeg"),
            ("ivf", "libvpx", "ivf"),
            ("3g2", "mpeg4", "3g2"),
            ("asf", "wmv2", "asf"),
            ("nut", "mpeg4", "nut"),
            ("mk3d", "libx264", "matroska"),
            ("m2t", "mpeg2video", "mpegts"),
        ],
    )
    def test_videos_by_their_endings(self, recognize, tmp_path, ending, codec, format):
        path = write_tracks(tmp_path / f"a.{ending}", [Track(FILM, codec)], format=format)
        code, printed, error = recognize(path, "--format", "json")
        assert (code, len(printed.splitlines())) == (0, 12), error

    def test_every_ending_that_ffmpeg_names_for_the_formats_that_are_read(self):
        endings = set()
        for name in FILE_FORMATS.split(","):
            endings |= {f".{ending}" for ending in av.format.ContainerFormat(name, "r").extensions}
        images_and_subtitles = {".gif", ".avif", ".heic", ".heif", ".mpo", ".mks", ".avs"}
        assert endings - images_and_subtitles <= set(SUFFIXES)
        assert not endings & images_and_subtitles & set(SUFFIXES)


class OwnError(MienError):
    """As a plug-in may define it: other arguments than the message."""

    def __init__(self, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}")
        self.line = line


class Named:
    """A path that is neither text nor a `Path`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return str(self._path)


class TestInterface:
    """Kind 11: what a developer tries in the first hour, on the command line and in Python."""

    @pytest.mark.parametrize("word", ["--version", "-V"])
    def test_the_version(self, mien, word):
        assert mien(word) == (0, f"mien {mien_package.__version__}\n", "")

    @pytest.mark.parametrize("words", [["-h"], ["recognize", "-h"], ["data", "-h"], ["data", "check", "-h"]])
    def test_short_help(self, mien, words):
        code, printed, _ = mien(*words)
        assert (code, printed) == mien(*words[:-1], "--help")[:2]
        assert code == 0
        assert "Usage: " in printed

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("mien reco", ["recognize"]),
            ("mien recognize --model default-", ["default-int8"]),
            ("mien recognize --detector ", ["auto", "haar", "mien", "none", "yunet"]),
            ("mien recognize --format ", ["table", "json", "csv"]),
            ("mien train fine", ["finetune/folder"]),
            ("mien experiment despam/f", ["despam/fer2013"]),
        ],
    )
    def test_completion(self, mien, monkeypatch, line, expected):
        monkeypatch.setenv("_MIEN_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        assert mien()[1].split() == expected

    def test_types_are_announced(self):
        package = Path(mien_package.__file__).parent
        assert (package / "py.typed").is_file()

    def test_every_extra_that_is_named_exists(self):
        package = Path(mien_package.__file__).parent
        project = tomllib.loads((package.parents[1] / "pyproject.toml").read_text())["project"]
        texts = [path.read_text() for path in package.rglob("*.py")]
        texts += [path.read_text() for path in (package.parents[1] / "docs").rglob("*.md")]
        named = {extra for text in texts for extra in re.findall(r"(?:mien|'\.)\[([a-z]+)\]", text)}
        named |= {extra for text in texts for extra in re.findall(r'MissingExtraError\(.*"([a-z]+)"\)', text)}
        assert named >= {"video", "train"}
        assert named | cli.EXTRAS.keys() | set(PROVIDERS) - {"cpu"} <= project["optional-dependencies"].keys()

    @pytest.mark.parametrize(
        ("origin", "expected"),
        [
            ({"url": "file:///own/mien", "dir_info": {}}, "'mien[video] @ file:///own/mien'"),
            (
                {"url": "https://own.example/mien", "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}},
                "'mien[video] @ git+https://own.example/mien@c0ffee'",
            ),
            ({}, "'mien[video]'"),
        ],
    )
    def test_extras_are_installed_from_where_mien_was(self, monkeypatch, origin, expected):
        assert str(MissingExtraError("This", "video")).endswith("[video]'")  # a checkout
        monkeypatch.setattr(errors, "__file__", "/site-packages/mien/core/errors.py")
        record = json.dumps(origin) if origin else None
        monkeypatch.setattr(metadata, "distribution", lambda _: SimpleNamespace(read_text=lambda _: record))
        assert str(MissingExtraError("This", "video")) == f"This requires the extra 'video': pip install {expected}"

    @pytest.mark.parametrize(
        "error",
        [
            MissingExtraError("This", "video"),
            OwnError(3, 4),
            VideoError("cut off"),
            ProblemError("invalid", "line", {"a": "b"}),
        ],
        ids=lambda error: type(error).__name__,
    )
    def test_errors_pickle(self, error):
        other = pickle.loads(pickle.dumps(error))  # noqa: S301
        for one in (other, copy.copy(error)):
            assert (type(one), str(one), one.args) == (type(error), str(error), error.args)
            assert one.__dict__ == error.__dict__

    def test_a_pool_of_processes(self, brightness, tmp_path):
        recognizer = Recognizer(brightness[1], "none")
        folder = save_grey(tmp_path / "in", SURE)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found = pool.submit(recognizer.recognize, folder / "0.png")
            failed = pool.submit(exec, "from mien.core.errors import MissingExtraError as E; raise E('This', 'video')")
            assert found.result(60) == recognizer.recognize(folder / "0.png")
            with pytest.raises(MissingExtraError, match="video"):
                failed.result(60)

    @pytest.mark.parametrize("detector", ["mien@40", "haar", "none", "file"])
    def test_recognizers_pickle(self, brightness, tiny_detector, astronaut, detector):
        recognizer = Recognizer(brightness[1], tiny_detector if detector == "file" else detector)
        copies = [pickle.loads(pickle.dumps(recognizer)), copy.deepcopy(recognizer)]  # noqa: S301
        for other in copies:
            assert type(other.detector) is type(recognizer.detector)
            assert getattr(other.detector, "smallest_face", 0) == getattr(recognizer.detector, "smallest_face", 0)
            assert other.recognize(astronaut) == recognizer.recognize(astronaut)

    def test_what_cannot_be_pickled_says_so(self, brightness):
        detector = SimpleNamespace(name="own", detect=lambda _: [])
        with pytest.raises(pickle.PicklingError, match=r"detector of type SimpleNamespace .* in each process"):
            pickle.dumps(Recognizer(brightness[1], detector))

    @pytest.mark.parametrize("kind", [str, Path, Named], ids=lambda kind: kind.__name__)
    def test_paths_of_any_kind(self, brightness, tiny_detector, tmp_path, kind):
        folder = save_grey(tmp_path / "in", SURE)
        recognizer = Recognizer(kind(brightness[1]), kind(tiny_detector))
        assert recognizer.recognize(kind(folder / "0.png")).source == str(folder / "0.png")
        assert open_image(kind(folder / "0.png")).first().shape == (64, 64, 3)
        film = write_video(tmp_path / "clip.mp4", FILM[:2])
        assert len(list(mien_package.stream(kind(film), recognizer))) == 2
        model = kind(brightness[1])
        assert len(mien_package.explain(model, kind(folder / "0.png"), detector="none")) == 1

    def test_paths_of_an_archive(self, brightness, tiny_detector, tmp_path):
        save_grey(tmp_path / "in", SURE)
        settings = ArchiveSettings(Named(brightness[1]), Named(tiny_detector))
        assert annotate(str(tmp_path / "in"), Named(tmp_path / "out.parquet"), settings).images == 1
        assert bad_list(str(tmp_path / "out.parquet")) == tmp_path / "out.bad.jsonl"

    def test_images_of_any_kind(self, tiny_model, tmp_path):
        recognizer = Recognizer(tiny_model, "none", use_rejection=False)
        pixels = np.full((64, 48, 3), 200, np.uint8)
        pixels[:20] = 10
        image = Image.fromarray(pixels)
        image.save(tmp_path / "face.png")
        content = (tmp_path / "face.png").read_bytes()
        memory = io.BytesIO(content)
        memory.seek(0, io.SEEK_END)  # where writing leaves it
        with (tmp_path / "face.png").open("rb") as file, Image.open(tmp_path / "face.png") as lazy:
            kinds = [content, bytearray(content), memoryview(content), memory, file, image, lazy, pixels]
            kinds += [torch.from_numpy(pixels), pixels / np.float32(255)]
            expected = recognizer.recognize(tmp_path / "face.png")
            results = [recognizer.recognize(one) for one in kinds]
            assert [result.faces for result in results] == [expected.faces] * len(kinds)
            assert [result.faces for result in recognizer.recognize_batch(kinds)] == [expected.faces] * len(kinds)
            assert [results[i].source for i in (4, 6)] == [str(tmp_path / "face.png")] * 2

    def test_a_pil_image_is_turned_as_its_file_is(self, tiny_model, tmp_path):
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("L", (60, 40), 200).save(tmp_path / "turned.jpg", exif=exif)
        recognizer = Recognizer(tiny_model, "none")
        with Image.open(tmp_path / "turned.jpg") as image:
            sizes = [(r.width, r.height) for r in map(recognizer.recognize, (tmp_path / "turned.jpg", image))]
            assert image.size == (60, 40)
        assert sizes == [(40, 60)] * 2

    @pytest.mark.parametrize(
        ("image", "reason"),
        [
            (None, "type NoneType; expected a path, .* imread returns None"),
            (["a.jpg"], "type list.* recognize_batch"),
            (torch.zeros(3, 64, 64), r"channels first; expected \(h, w, 3\)"),
            (torch.zeros(2, 3, 64, 64), "several images"),
            (torch.zeros(64, 64, 3, requires_grad=True), r"detach\(\)"),
            (torch.zeros(64, 64, 3, dtype=torch.int64), "type int64; expected uint8"),
            (io.StringIO("text"), "open as text"),
            (io.BytesIO(), "empty"),
        ],
        ids=["none", "list", "chw", "nchw", "gradients", "int64", "text", "nothing"],
    )
    def test_what_is_no_image_is_one_line(self, tiny_model, image, reason):
        with pytest.raises(ImageError, match=reason) as caught:
            Recognizer(tiny_model, "none").recognize(image)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        "given", ["folder", b"bytes", np.zeros((48, 48, 3), np.uint8), Image.new("L", (9, 9)), None]
    )
    def test_one_image_is_not_several(self, tiny_model, given):
        with pytest.raises(ImageError, match="expected several: give a list"):
            Recognizer(tiny_model, "none").recognize_batch(given)

    @pytest.mark.parametrize("given", [{"model": None}, {"model": 5}, {"detector": None}, {"detector": SquareDetector}])
    def test_other_models_and_detectors_are_one_line(self, tiny_model, given):
        with pytest.raises(ModelError, match=r"Got .* expected a name"):
            Recognizer(**{"model": tiny_model, "detector": "none", **given})


class TestLabelsOverFaces:
    """Kind 12: a label of 48 pixels covers a face of 48 pixels."""

    @staticmethod
    def happy(*boxes: Box) -> list[Face]:
        return [Face(box, 0.9, "happy", {"happy": 0.8, "sad": 0.2}) for box in boxes]

    @pytest.mark.parametrize(
        ("size", "box"),
        [
            ((48, 48), Box(0, 0, 48, 48)),  # a crop, as FER2013's
            ((48, 64), Box(0, -8, 64, 64)),  # one that is not square, with --detector none
            ((300, 300), Box(-20, -20, 340, 340)),  # a close-up
            ((48, 40), Box(4, 2, 32, 44)),  # nearly the whole image
            ((1, 1), Box(0, 0, 1, 1)),
        ],
    )
    def test_a_face_that_fills_the_image(self, size, box):
        image = np.full((*size, 3), 77, np.uint8)
        drawn = draw_still(image, self.happy(box))
        factor = max(math.ceil(256 / max(size)), 1)
        height, width = size[0] * factor, size[1] * factor
        assert drawn.shape[0] > height
        assert drawn.shape[1] == width
        inner = drawn[8 : height - 8, 8 : width - 8]
        assert (inner == 77).all(axis=2).mean() > 0.9  # lines of the box, but no label
        assert (drawn[height:] == COLOURS["happy"]).all(axis=2).sum() > 50

    def test_faces_side_by_side(self):
        boxes = [Box(10 + 42 * i, 60 + 30 * (i % 2), 40, 50) for i in range(8)]
        sizes = [(14, 70)] * 8
        places = place_labels(boxes, sizes, (200, 360))
        labels = [Box(x, y, 70, 14) for x, y in places]
        for i, label in enumerate(labels):
            assert all(overlap(label, other) == 0 for other in [*boxes, *labels[:i]]), i
            assert label.within(360, 200) == label

    def test_a_face_at_the_top(self):
        ((x, y),) = place_labels([Box(100, 0, 40, 50)], [(14, 70)], (200, 300))
        assert y >= 50
        assert x >= 70

    def test_a_face_in_a_row_without_space_above_and_below(self):
        ((x, y),) = place_labels([Box(100, 0, 60, 60)], [(14, 70)], (60, 300))
        assert x >= 160
        assert 0 <= y <= 46

    def test_saved_crops(self, mien, brightness, tmp_path):
        mien("recognize", save_grey(tmp_path / "in", SURE, size=48), *brightness, "--save", tmp_path / "out")
        drawn = pixels_of(tmp_path / "out" / "0.png")
        assert drawn.shape[1] == 288
        assert (drawn[8:280, 8:280] == SURE).all()


def overlap(one: Box, other: Box) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(width, 0) * max(height, 0)


class TestUnknownNamesInRequests:
    """A name that a server does not know changes nothing in its answer, so it says so instead of answering."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tiny_model: Path) -> Iterator[RunningServer]:
        with running(tiny_settings(tiny_model)) as started:
            yield started

    @pytest.mark.parametrize(
        ("method", "address", "name", "hint"),
        [
            ("GET", "/v1/models?modle=tiny", "modle", "This address takes none."),
            ("GET", "/metrics?name[]=mien_requests", "name[]", "This address takes none."),
            ("GET", "/v1/models/tiny/card?full=1", "full", "This address takes none."),
            ("POST", "/v1/recognize?modle=tiny", "modle", "Did you mean 'model'? Known: model, detector."),
            ("POST", "/v1/recognize?smoothing=off", "smoothing", "Known: model, detector."),
            ("POST", "/v1/recognize/video?smoothin=off", "smoothin", "Did you mean 'smoothing'?"),
            ("POST", "/v1/recognize/video/annotated?detect-every=1", "detect-every", "Did you mean 'detect_every'?"),
        ],
    )
    def test_in_a_query(self, server, method, address, name, hint):
        response = httpx.request(method, server.address + address)
        assert (response.status_code, response.json()["type"]) == (422, "urn:mien:problem:invalid")
        assert response.json()["detail"].startswith(f"Unknown query name '{name}'. {hint}")

    def test_twice_in_a_query(self, server):
        response = httpx.post(f"{server.address}/v1/recognize?model=tiny&model=other")
        assert response.json()["detail"] == "The query has 'model' 2 times; give it once."

    @pytest.mark.parametrize(("field", "hint"), [("image", "Did you mean 'images'?"), ("detector", "Known: images.")])
    def test_in_a_form(self, server, hopper, field, hint):
        response = httpx.post(f"{server.address}/v1/recognize", files={field: ("face.jpg", hopper.read_bytes())})
        assert response.status_code == 422
        assert response.json()["detail"].startswith(f"Unknown form field '{field}'. {hint}")

    @pytest.mark.parametrize(
        ("message", "detail"),
        [
            ({"type": "start", "seting": {}}, "Unknown name in a message 'seting'. Did you mean 'settings'?"),
            ({"type": "start", "detector": "none"}, "Unknown name in a message 'detector'."),
            ({"type": "start", "settings": {"modell": "x"}}, "Unknown setting 'modell'. Did you mean 'model'?"),
        ],
    )
    def test_in_a_message(self, server, message, detail):
        with connect(f"ws://127.0.0.1:{server.port}/v1/live", close_timeout=1) as connection:
            connection.send(json.dumps(message))
            answer = json.loads(connection.recv(timeout=10))
        assert answer["problem"]["detail"].startswith(detail)

    def test_in_the_address_of_the_websocket(self, server):
        with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{server.port}/v1/live?model=tiny"):
            pass
        assert b"send settings in the first message" in refused.value.response.body

    def test_probes_of_balancers_may_have_a_query(self, server):
        assert httpx.get(f"{server.address}/healthz?time=1").status_code == 200


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


class TestResults:
    """Kind 14: results that people use, and a command that says what it does."""

    @pytest.fixture
    def recognizer(self, brightness) -> Recognizer:
        return Recognizer(brightness[1], "none")

    @pytest.fixture
    def path(self, tmp_path) -> Path:
        return save_grey(tmp_path / "in", SURE) / "0.png"

    @pytest.fixture
    def nobody(self, brightness, path) -> ImageResult:
        return Recognizer(brightness[1], SimpleNamespace(name="nobody", detect=lambda _: [])).recognize(path)

    def test_rows(self, recognizer, path, nobody):
        (row,) = recognizer.recognize(path).to_rows()
        assert list(row) == list(table_columns(recognizer.card.labels.names))
        assert (row["source"], row["face"], row["label"], row["unsure"]) == (str(path), 1, "happy", False)
        (row,) = nobody.to_rows()
        assert (row["face"], row["image_width"], row["label"], row["unsure"]) == (0, 64, None, None)

    def test_data_frames(self, recognizer, path, nobody):
        results = [recognizer.recognize(path), nobody]
        frame = pd.concat(result.to_dataframe() for result in results)
        assert frame["face"].tolist() == [1, 0]
        assert frame[frame.unsure].empty
        assert frame["confidence"].mean() == pytest.approx(results[0].faces[0].confidence, abs=1e-5)
        assert frame.groupby("label")["happy"].max().index.tolist() == ["happy"]

    def test_without_pandas(self, recognizer, path, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(MienError, match=r"pip install pandas; to_rows\(\)"):
            recognizer.recognize(path).to_dataframe()

    @pytest.mark.parametrize("name", ["out.png", "out.JPG", "out.jpeg", "out.webp"])
    def test_save_a_drawing(self, recognizer, path, tmp_path, name):
        with Image.open(path) as image:
            results = [recognizer.recognize(one) for one in (path, path.read_bytes(), image, np.asarray(image))]
        for result in results:
            assert result.save(str(tmp_path / name)) == tmp_path / name
            assert pixels_of(tmp_path / name).shape[1] == 256

    def test_save_values(self, recognizer, path, tmp_path, nobody):
        result = recognizer.recognize(path)
        assert json.loads(result.save(tmp_path / "out.json").read_text()) == result.to_json()
        (row,) = csv.DictReader(result.save(tmp_path / "out.csv").read_text().splitlines())
        assert (row["face"], row["label"], row["unsure"]) == ("1", "happy", "0")
        (row,) = csv.DictReader(nobody.save(tmp_path / "out.csv").read_text().splitlines())
        assert (row["face"], row["label"], row["unsure"]) == ("0", "", "")

    @pytest.mark.parametrize("name", ["out.gif", "out", "nosuch/out.png", "in"])
    def test_save_elsewhere(self, recognizer, path, tmp_path, name):
        with pytest.raises(ImageError, match=r"ends in none of|cannot be written"):
            recognizer.recognize(path).save(tmp_path / name)

    def test_an_image_that_is_gone(self, recognizer, path):
        result = recognizer.recognize(path)
        path.unlink()
        with pytest.raises(ImageError, match="cannot be read"):
            result.plot()
        assert "<img" not in result._repr_html_()
        with pytest.raises(ImageError, match="does not hold its image"):
            recognizer.classify([recognizer.find(np.zeros((9, 9), np.uint8))])[0].plot()

    def test_plot_and_notebooks(self, recognizer, path, nobody):
        result = recognizer.recognize(path)
        assert result.plot().size > (256, 256)
        html = result._repr_html_()
        assert html.count("<img") == 1
        assert f"{path}: 1 face" in html
        assert "1: happy" in html
        assert "no faces detected" in nobody._repr_html_()
        assert nobody.plot().size == (256, 256)
        crowd = dataclasses.replace(result, faces=result.faces * 30, source="<b>.png")
        assert crowd._repr_html_().count("<img") == 24
        assert "&lt;b&gt;.png: 30 faces (the first 24 are shown)" in crowd._repr_html_()
        assert crowd.plot().height > 8 * 100

    def test_frames_of_videos(self, recognizer, tmp_path):
        frames = list(mien_package.stream(np.full((2, 64, 64, 3), SURE, np.uint8), recognizer))
        assert [row["time"] for frame in frames for row in frame.to_rows()] == [0, 0.04]
        assert pd.concat(frame.to_dataframe() for frame in frames)["track"].tolist() == [1, 1]
        assert pixels_of(frames[0].save(tmp_path / "frame.png")).shape[1] == 256
        assert "0.04 s: 1 face" in frames[1]._repr_html_()

    def test_results_do_not_copy_images(self, recognizer):
        pixels = np.full((64, 64), SURE, np.uint8)
        assert recognizer.recognize(pixels).image is pixels
        assert recognizer.classify([recognizer.find(pixels)])[0].image is None

    def test_embeddings(self, tiny_model):
        levels = np.array([SURE, UNSURE, 10])
        images = [np.full((48, 48), level, np.uint8) for level in levels]
        recognizer = Recognizer(tiny_model, "none")
        found = np.concatenate([recognizer.embeddings(image) for image in images])
        mean = (levels / 255 - 0.5) / 0.25
        assert found == pytest.approx(np.stack([mean, np.zeros(3)], axis=1), abs=1e-5)

    def test_embeddings_are_those_of_the_faces(self, astronaut):
        recognizer = Recognizer()
        features = recognizer.embeddings(astronaut)
        assert features.shape == (len(recognizer.recognize(astronaut).faces), 144)
        assert recognizer.embeddings(np.zeros((64, 64), np.uint8)).shape == (0, 144)
        whole = Recognizer("default-int8", "none").embeddings(astronaut)
        assert whole.shape == (1, 144)

    def test_rows_as_they_come_and_ctrl_c(self, mien, brightness, tmp_path, monkeypatch):
        find = Recognizer.find

        def interrupted(self, image, source=None):
            if source is not None and source.endswith("2.png"):
                signal.raise_signal(signal.SIGINT)
            return find(self, image, source)

        monkeypatch.setattr(Recognizer, "find", interrupted)
        folder = save_grey(tmp_path / "in", *[SURE] * 5)
        code, printed, error = mien("recognize", folder, *brightness)
        assert code == 130
        assert [line.split("in/")[-1] for line in printed.splitlines()[1:4]] == ["0.png", "1.png", "2.png"]
        assert printed.splitlines()[-1].startswith("3 images, 3 faces.")
        assert error == "Stopped after 3 of 5 images.\n"

    def test_one_total_and_where_drawings_are(self, mien, brightness, tmp_path):
        folder = save_grey(tmp_path / "in", *[SURE] * 12)
        _, printed, error = mien("recognize", folder, *brightness, "--save", tmp_path / "out")
        lines = printed.splitlines()
        assert len(lines) == 1 + 12 + 2
        assert lines[-1] == "12 images, 12 faces. Expressions: happy 100 % (12 of 12)"
        assert error == f"12 drawings saved to {tmp_path / 'out'}\n"

    def test_where_the_files_of_a_video_are(self, recognize, tmp_path):
        error = recognize(write_video(tmp_path / "clip.mp4", FILM), "--save", tmp_path / "out", "--no-video")[2]
        files = "clip.csv, clip-summary.json, clip-timeline.svg, clip-timeline.png, clip-timeline.html"
        assert error == f"saved to {tmp_path / 'out'}: {files}\n"

    @pytest.mark.parametrize("columns", ["40", "80", "120"])
    def test_names_are_never_cut(self, mien, brightness, tmp_path, monkeypatch, columns):
        monkeypatch.setenv("COLUMNS", columns)
        folder = save_grey(tmp_path / ("long " * 30).strip(), SURE)
        _, printed, _ = mien("recognize", folder, *brightness)
        assert str(folder / "0.png") in printed

    def test_progress_of_a_folder(self, brightness, tmp_path):
        folder = save_grey(tmp_path / "in", *[SURE] * 3)
        code, screen, printed = on_terminal(["recognize", folder, *brightness], tmp_path)
        assert code == 0
        assert "3 of 3 images" in screen
        assert "happy" not in screen
        assert len(printed.splitlines()) == 1 + 3 + 2

    def test_results_of_a_video_go_to_the_file_and_not_to_the_terminal(self, brightness, tmp_path):
        path = write_video(tmp_path / "clip.mp4", FILM)
        code, screen, printed = on_terminal(["recognize", path, *brightness, "--format", "csv"], tmp_path)
        assert code == 0
        assert len(printed.splitlines()) == 1 + len(FILM)
        assert "happy" not in screen.replace("Expressions: happy", "").replace("happy 100", "")

    def test_every_progress_bar_leaves_files_alone(self):
        package = Path(mien_package.__file__).parent
        texts = [path.read_text() for path in package.rglob("*.py")]
        makers = [
            text for text in texts if re.search(r"^ *from rich\.progress import .*\bProgress\b", text, re.MULTILINE)
        ]
        assert len(makers) == 2  # of commands, and of training
        assert all("redirect_stdout=sys.stdout.isatty()" in text for text in makers)


def pixels_of(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def on_terminal(words: Sequence[Any], folder: Path) -> tuple[int, str, str]:
    """Run a command whose standard error is a terminal and whose output is a file: exit code, terminal, and file."""
    ours, theirs = pty.openpty()
    with (folder / "printed").open("wb") as out:
        command = [sys.executable, "-m", "mien", *map(str, words)]
        process = subprocess.Popen(command, stdout=out, stderr=theirs, stdin=subprocess.DEVNULL)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while chunk := os.read(ours, 2**16):
            shown += chunk
    os.close(ours)
    return process.wait(60), shown.decode(), (folder / "printed").read_text()


class TestResultsOfVideos:
    """Kind 15: probabilities over time only as numbers, no sound, and frames without a face missing from the table."""

    def without_faces(self, folder, astronaut):
        """Write ten frames of nothing and ten of a portrait."""
        frames = [np.full((256, 256, 3), 90, np.uint8)] * 10 + [np.ascontiguousarray(astronaut[:256, 96:352])] * 10
        return write_video(folder / "clip.mp4", frames)

    def test_every_frame_has_a_row(self, mien, tiny_model, tmp_path, astronaut):
        path = self.without_faces(tmp_path, astronaut)
        words = "--model", tiny_model, "--detector", "haar", "--keep-all", "--format", "csv", "--save", tmp_path / "out"
        code, printed, error = mien("recognize", path, *words)
        assert code == 0, error
        rows = list(csv.DictReader(io.StringIO(printed)))
        assert [int(row["frame"]) for row in rows] == list(range(20))
        assert [row["face"] for row in rows[:10]] == ["0"] * 10
        assert rows[-1]["face"] == "1"
        empty = rows[9]
        assert (empty["time"], empty["image_width"], empty["label"], empty["happy"]) == ("0.36", "256", "", "")
        assert len(read_frames(tmp_path / "out" / "clip.mp4")) == 20

    def test_every_image_has_a_row(self, mien, tiny_model, tmp_path, hopper):
        folder = save_grey(tmp_path / "in", 200, 100)
        words = "--model", tiny_model, "--detector", "haar", "--keep-all", "--format", "csv"
        rows = list(csv.DictReader(io.StringIO(mien("recognize", folder, hopper, *words)[1])))
        assert [(Path(row["source"]).name, row["face"]) for row in rows] == [
            *[("0.png", "0"), ("1.png", "0"), (hopper.name, "1")],
        ]

    SOUNDS = (
        ("a.mp4", "libx264", "aac", "aac"),
        ("a.mkv", "libx264", "flac", "flac"),
        ("a.webm", "libvpx", "libopus", "opus"),
        ("a.ts", "libx264", "aac", "aac"),
        ("a.vob", "mpeg2video", "ac3", "ac3"),
        ("a.avi", "mpeg4", "pcm_s16le", "aac"),  # what MP4 does not hold is converted
        ("a.mpg", "mpeg2video", "mp2", "aac"),
    )

    @pytest.mark.parametrize("case", SOUNDS)
    def test_the_annotated_video_keeps_the_sound(self, recognize, tmp_path, case):
        name, video, sound, kept = case
        path = write_flashes(tmp_path / name, video, sound)
        assert recognize(path, "--save", tmp_path / "out")[0] == 0
        copy = tmp_path / "out" / "a.mp4"
        with av.open(str(copy)) as container:
            assert container.streams.audio[0].codec_context.codec.canonical_name == kept
        assert len(beeps(copy)) == 2
        assert np.allclose(beeps(copy), self.flashes(copy), atol=0.06)

    def flashes(self, path):
        bright = [(frame.time, bool(frame.pixels[30:].mean() > 100)) for frame in read_frames(path)]
        return [time for (_, before), (time, now) in itertools.pairwise(bright) if now and not before]

    def test_sound_of_joined_clips_stays_with_the_frames(self, recognize, tmp_path):
        part = write_flashes(tmp_path / "a.ts", "libx264", "aac").read_bytes()
        (tmp_path / "b.ts").write_bytes(part * 3)
        assert recognize(tmp_path / "b.ts", "--save", tmp_path / "out")[0] == 0
        copy = tmp_path / "out" / "b.mp4"
        assert len(beeps(copy)) == 6
        assert np.allclose(beeps(copy), self.flashes(copy), atol=0.06)

    def test_a_video_without_sound_gets_none(self, recognize, tmp_path):
        recognize(write_tracks(tmp_path / "a.mp4", [Track(FILM)]), "--save", tmp_path / "out")
        with av.open(str(tmp_path / "out" / "a.mp4")) as container:
            assert [stream.type for stream in container.streams] == ["video"]

    def test_sound_that_is_longer_than_the_film_is_kept(self, recognize, tmp_path):
        recognize(write_tracks(tmp_path / "a.mp4", [Track(FILM)], sound=3), "--save", tmp_path / "out")
        with av.open(str(tmp_path / "out" / "a.mp4")) as container:
            (sound,) = container.streams.audio
            assert float(sound.duration * sound.time_base) == pytest.approx(3, abs=0.2)
            assert container.streams.video[0].frames == 12

    @pytest.mark.parametrize("rate", [10, 25, Fraction(30000, 1001), 50])
    def test_rate_frames_and_rows_are_the_video_s(self, recognize, tmp_path, rate):
        path = write_flashes(tmp_path / "a.mp4", "libx264", "aac", rate=rate)
        code, printed, _ = recognize(path, "--format", "csv", "--save", tmp_path / "out")
        assert code == 0
        frames = round(2 * rate)
        assert len({row["frame"] for row in csv.DictReader(io.StringIO(printed))}) == frames
        with av.open(str(tmp_path / "out" / "a.mp4")) as container:
            assert (container.streams.video[0].frames, container.streams.video[0].average_rate) == (frames, rate)

    def test_probabilities_over_time_as_svg_png_and_html(self, recognize, tmp_path):
        path = write_flashes(tmp_path / "a film.mp4", "libx264", "aac")
        assert recognize(path, "--save", tmp_path / "out")[0] == 0
        names = {file.name for file in (tmp_path / "out").iterdir()}
        assert {f"a film-timeline.{ending}" for ending in ("svg", "png", "html")} <= names
        svg = (tmp_path / "out" / "a film-timeline.svg").read_text()
        assert "Probabilities of #1" in svg
        assert svg.count("<polyline") > 14
        with Image.open(tmp_path / "out" / "a film-timeline.png") as png:
            assert png.width == 2000
        page = (tmp_path / "out" / "a film-timeline.html").read_text()
        assert 'src="a%20film.mp4"' in page
        assert "http" not in page.replace("http://www.w3.org/2000/svg", "")  # loads nothing from elsewhere

    @pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
    def test_the_page_shows_the_probabilities_and_plays_the_sound(self, recognize, tmp_path):
        path = write_flashes(tmp_path / "a.mp4", "libx264", "aac")
        recognize(path, "--save", tmp_path / "out")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page, errors = browser.new_page(), []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto((tmp_path / "out" / "a-timeline.html").as_uri())
            page.wait_for_function("document.querySelector('video').readyState > 0")
            chart = page.locator("#chart svg").bounding_box()
            page.mouse.click(chart["x"] + chart["width"] * 0.52, chart["y"] + 60)
            assert page.evaluate("document.querySelector('video').currentTime") == pytest.approx(1, abs=0.1)
            shares = page.locator("td").all_inner_texts()
            assert sum(int(share.removesuffix(" %")) for share in shares) == pytest.approx(100, abs=3)
            page.locator("#chart").press("PageUp")
            assert page.locator("#time").inner_text() == "0.00 s"
            browser.close()
        assert errors == []

    def test_every_image_of_an_archive_has_a_row(self, mien, tiny_model, tmp_path):
        folder = save_grey(tmp_path / "in", 200, 100)
        out = tmp_path / "out.parquet"
        mien("annotate", folder, "-o", out, "--model", tiny_model, "--detector", "haar", "--workers", 1)
        assert [(row["face"], row["label"], row["image_width"]) for row in rows_of(out)] == [(0, None, 64)] * 2


def crowd(faces: int) -> bytes:
    """Return an image of up to 14 white spots in two rows: faces of the tiny detector, close to one another."""
    return jpeg(spots(*((8 + 40 * (number % 7), 16 + 32 * (number // 7)) for number in range(faces)), shape=(80, 280)))


COVERED = """([left, top, right, bottom]) => {
  const overlay = document.querySelector("#overlay"), {width, height} = overlay;
  const [x, y] = [Math.round(left * width), Math.round(top * height)];
  const [columns, rows] = [Math.round((right - left) * width), Math.round((bottom - top) * height)];
  const ink = overlay.getContext("2d").getImageData(x, y, columns, rows).data;
  return ink.filter((value, at) => at % 4 === 3 && value > 200).length / (columns * rows);
}"""
"""The share of a part of the overlay, given in shares of its sides, that hides the image."""


class TestThePage:
    """What people look at, click on and start."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls, tiny_detector: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
        network = tiny_network(outputs=7)
        helper.set_model_props(network, {METADATA_KEY: tiny_card(reject_threshold=None).to_json()})
        model = tmp_path_factory.mktemp("page") / "bright.onnx"
        onnx.save(network, model)
        with running(ServerSettings(models=(str(model),), detectors=(f"{tiny_detector}@20", "none"))) as started:
            yield started

    @pytest.fixture(scope="class")
    @classmethod
    def browser(cls) -> Iterator[Any]:
        playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright")
        with playwright.sync_playwright() as driver:
            running = launch(driver.chromium)
            yield running
            running.close()

    @pytest.fixture
    def page(self, browser: Any, server: RunningServer) -> Iterator[Any]:
        yield from opened(browser, server.address)

    @pytest.fixture(scope="class")
    @classmethod
    def clip(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """Two seconds with a bright face, two without any, and two with it again."""
        bright, empty = (np.zeros((96, 128, 3), np.uint8) for _ in range(2))
        bright[48:56, 56:64] = 255
        frames = [bright] * 20 + [empty] * 20 + [bright] * 20
        path = tmp_path_factory.mktemp("clip") / "clip.webm"
        return write_video(path, frames, [number / 10 for number in range(60)], codec="libvpx")

    @needs_chromium
    def test_labels_do_not_cover_the_faces(self, page):
        page.set_viewport_size({"width": 400, "height": 900})
        page.set_input_files("#files", [upload("crowd.jpg", crowd(14), "image/jpeg")])
        page.locator("#faces button").nth(13).wait_for()
        covered = []
        for number in range(14):
            x, y = 12 + 40 * (number % 7), 20 + 32 * (number // 7)  # the middle of a face
            share = page.evaluate(COVERED, [(x - 8) / 280, (y - 8) / 80, (x + 8) / 280, (y + 8) / 80])
            covered += [number] if share > 0.2 else []
        assert len(covered) <= 2, "only the text of the selected face may cover it and a neighbour"
        page.click("#faces button >> nth=12")
        wait_for_text(page, "#selected-text", "Face 13: ")

    @needs_chromium
    def test_a_percentage_is_on_one_line(self, page):
        page.set_input_files("#files", [upload("one.jpg", crowd(1), "image/jpeg")])
        wait_for_text(page, "#shares .top-row", "100")
        lines = "all => all.map((one) => one.offsetHeight / parseFloat(getComputedStyle(one).lineHeight))"
        for width in (1280, 400):
            page.set_viewport_size({"width": width, "height": 900})
            for size in ("14px", "28px"):  # people enlarge text
                page.evaluate(f"document.querySelectorAll('.rows').forEach((one) => one.style.fontSize = '{size}')")
                assert max(page.locator(".rows b").evaluate_all(lines)) < 1.5

    @needs_chromium
    def test_a_video_has_its_own_axis_on_which_people_move(self, page, clip):
        page.set_input_files("#files", clip)
        wait_for_text(page, "#status", "60 frames")
        assert page.inner_text("#timeline-title") == "Whole video"
        assert float(page.get_attribute("#seek", "max")) == pytest.approx(6, abs=0.2)
        assert page.inner_text("#timeline-text").endswith(" seen: sad 100\u00a0%.")
        page.evaluate("document.querySelector('#video').pause()")

        def is_at(seconds: float) -> bool:
            return abs(page.evaluate("document.querySelector('#video').currentTime") - seconds) < 0.06

        page.focus("#seek")
        page.keyboard.press("End")
        page.keyboard.press("Home")
        page.keyboard.press("ArrowRight")
        wait_until(page, lambda: is_at(0.1))
        wait_for_text(page, "#selected-text", "sad")
        place = page.locator("#chart").bounding_box()
        page.mouse.click(place["x"] + place["width"] / 2, place["y"] + 50)
        wait_until(
            page, lambda: page.evaluate("document.querySelector('#video').currentTime") == pytest.approx(3, abs=0.1)
        )
        wait_until(page, lambda: page.get_attribute("#seek", "aria-valuetext").startswith("3.0"))
        wait_for_text(page, "#shares-text", "No faces detected")

    @needs_chromium
    def test_the_annotated_video_can_be_saved(self, page, clip):
        page.set_input_files("#files", clip)
        with page.expect_download() as download:
            page.click("#annotate")
        assert download.value.suggested_filename == "clip-annotated.mp4"
        with av.open(str(download.value.path())) as video:
            frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        assert len(frames) == 60
        assert frames[10][:38].max() > 100, "the label is above the face"
        assert frames[30].max() < 40

    def test_the_annotated_video_of_the_api(self, server, tmp_path):
        address = f"{server.address}/v1/recognize/video/annotated"
        film = write_tracks(tmp_path / "film.mkv", [Track(FILM)], sound=0.5)
        response = httpx.post(address, content=film.read_bytes(), timeout=30)
        assert (response.headers["content-type"], response.headers["x-complete"]) == ("video/mp4", "true")
        with av.open(io.BytesIO(response.content)) as video:
            assert len(video.streams.audio) == 1
            assert sum(1 for _ in video.decode(video=0)) == len(FILM)
        refused = httpx.post(address, content=b"not a video")
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:mien:problem:unreadable-video")
        end = time.monotonic() + 10  # the server frees them just after its answer
        while (server.engine.videos.taken, server.engine.bytes.taken) != (0, 0):
            assert time.monotonic() < end
            time.sleep(0.02)

    @needs_chromium
    def test_without_faces_the_page_says_one_thing(self, page):
        assert page.locator(".panel:visible h2").all_inner_texts() == ["Settings", "Before you use it on people"]
        page.set_input_files("#files", [upload("dark.jpg", jpeg(np.zeros((48, 48, 3), np.uint8)), "image/jpeg")])
        wait_for_text(page, "#status", "Done: dark.jpg, no faces.")
        wait_for_text(page, "#session-text", "1 image")
        panels = ["Expressions", "Settings", "This session", "Before you use it on people"]
        assert sorted(page.locator(".panel:visible h2").all_inner_texts()) == sorted(panels)
        assert page.inner_text("main").count("No faces") == 1
        assert "0 %" not in page.inner_text("main")

    @needs_chromium
    def test_the_page_of_the_api_needs_no_other_site(self, browser, server):
        hosts = set()
        for page in opened(browser, f"{server.address}/docs", ready="#schemas h3"):
            page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
            page.reload()
            page.locator("#schemas h3").first.wait_for()
            assert hosts == {f"127.0.0.1:{server.port}"}
            document = httpx.get(f"{server.address}/openapi.json").json()
            titles = set(page.locator("#operations h2").all_inner_texts())
            assert titles == {f"{m.upper()} {path}" for path, all_ in document["paths"].items() for m in all_}
            for link in page.locator("main a").evaluate_all("all => all.map((one) => one.getAttribute('href'))"):
                assert page.locator(f'[id="{link[1:]}"]').count() == 1, link

    def test_the_page_of_the_api_obeys_the_strict_policy(self, server):
        response = httpx.get(f"{server.address}/docs")
        assert response.headers["content-type"].startswith("text/html")
        assert "script-src 'self'" in response.headers["content-security-policy"]
        assert "http" not in re.sub(r"HTTP|http-equiv", "", response.text)
        assert "/docs" in httpx.get(f"{server.address}/nothing").json()["detail"]

    def test_the_first_lines_name_what_runs_and_where(self, server):
        lines = starting_lines(server.engine, "127.0.0.1", 8000)
        assert lines[0] == "Serving at http://127.0.0.1:8000/ (stop with Ctrl-C)"
        assert [line.split(maxsplit=1) for line in lines[1:]] == [
            ["API", "http://127.0.0.1:8000/docs"],
            ["model", "bright (7 expressions)"],
            ["detector", "mien (or none)"],
            ["access", "this machine only, without a key"],
        ]
        everywhere = starting_lines(server.engine, "0.0.0.0", 80)  # noqa: S104
        assert everywhere[0].startswith("Serving at http://localhost:80/ ")
        assert addresses("::1", 80) == ["http://[::1]:80"]
        scored = dataclasses.replace(
            tiny_card(), scores={"accuracy": 0.7124, "dataset": "fer2013", "split": "validation"}
        )
        assert describe_model("own", scored) == "own (7 expressions, 71.24 % right on fer2013, validation)"

    def test_the_image_runs_every_command(self, mien, monkeypatch):
        text = (Path(__file__).parents[2] / "Dockerfile").read_text()
        entry, usual = (json.loads(re.search(rf"^{word} (\[.*\])$", text, re.M)[1]) for word in ("ENTRYPOINT", "CMD"))
        assert entry == ["mien"]
        for words in (usual, ["recognize"], ["annotate"], ["serve"]):
            assert mien(*words, "--help")[0] == 0
        for name, value in re.findall(r"(MIEN_\w+)=(\S+)$", text, re.M):
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("MIEN_API_KEY", raising=False)
        for words in (usual, ["serve", "--port", "0"]):
            code, _, error = mien(*words)
            assert (code, error[:60]) == (1, "error: 0.0.0.0 can be reached from other machines, and there")


@pytest.fixture(scope="module")
def example(tmp_path_factory, astronaut) -> dict[str, Any]:
    """Run the page's Python, and return its names."""
    package = Path(mien_package.__file__).parent
    folder = tmp_path_factory.mktemp("example")
    for name in ("default.onnx", "detectors/mien.onnx"):
        shutil.copy(package / "assets" / name, folder)
    Image.fromarray(astronaut).save(folder / "photo.jpg", quality=95)
    Image.fromarray(Recognizer().find(astronaut).crops[0]).save(folder / "face.png")
    page = (package.parents[1] / "docs" / "model-file.md").read_text()
    code = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    names: dict[str, Any] = {"folder": folder}
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        exec(code, names)  # noqa: S102
    return names


class TestModelFile:
    """Kind 18: the model files are used without mien, as docs/model-file.md says."""

    def test_expressions_of_a_crop(self, example):
        found = example["probabilities"](Image.open(example["folder"] / "face.png"))
        (face,) = Recognizer(detector="none").recognize(example["folder"] / "face.png").faces
        assert found == pytest.approx(face.probabilities, abs=1e-5)

    @pytest.mark.parametrize("side", [40, 90, 224])
    def test_expressions_of_crops_of_other_sizes(self, example, astronaut, side):
        crop = Image.fromarray(astronaut[60:180, 165:285]).resize((side, side))
        (face,) = Recognizer(detector="none").recognize(crop).faces
        assert example["probabilities"](crop) == pytest.approx(face.probabilities, abs=0.02)

    def test_faces(self, example):
        card = Recognizer().card
        (face,) = Recognizer().recognize(example["folder"] / "photo.jpg").faces
        ((x, y, side, score, roll),) = example["find_faces"](example["photo"])
        square = cut_square(face.box, card.crop)
        assert (x, y) == pytest.approx(square.centre, abs=2)
        assert side == pytest.approx(square.width, rel=0.05)
        assert score == pytest.approx(face.score, abs=0.02)
        assert roll == pytest.approx(face.roll, abs=3)
        assert example["probabilities"](example["face"]) == pytest.approx(face.probabilities, abs=0.05)

    def test_the_page_names_every_field_that_decides(self):
        page = (Path(mien_package.__file__).parents[2] / "docs" / "model-file.md").read_text()
        fields = [f"input.{f.name}" for f in dataclasses.fields(InputSpec)]
        fields += [f"crop.{f.name}" for f in dataclasses.fields(CropSpec)]
        fields += ["labels", "temperature", "reject_threshold", "unsure_threshold"]
        about = {"name", "recipe", "scores", "version"}
        fields += [f.name for f in dataclasses.fields(DetectorCard) if f.name not in about]
        assert [field for field in fields if f"`{field}`" not in page] == []
        assert all(f"`{name}`" in page for name in (METADATA_KEY, DETECTOR_KEY, "images", "logits", "image", "maps"))
