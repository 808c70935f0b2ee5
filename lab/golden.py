"""The contract of the two implementations: what Python finds in drawn images, for the tests of Python and the browser.

`browser/golden/golden.json` has boxes, crops, logits, levels, resampled images, smoothed streams and settings; the
images beside it are drawn. `lab/tests/test_golden.py` compares them with this package, `browser/tests/` with mien-web:
a change of one implementation breaks its tests until the other one follows.

    python -m lab.golden    # write it anew, after a change that is meant
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab import ROOT
from mien.core.card import CropSpec
from mien.core.expressions import Expression
from mien.core.face_maps import levels
from mien.core.image import crop_face, resize_face
from mien.core.types import Box
from mien.data.synthetic import draw_face
from mien.inference.detectors.mien import BUDGET, Mien
from mien.inference.model import OnnxModel
from mien.inference.recognizer import Recognizer
from mien.inference.video.appearance import cut_window
from mien.inference.video.assignment import assign
from mien.inference.video.face_stream import FaceStream, StreamSettings
from mien.inference.video.motion import measure_shift
from mien.inference.video.smoothing import SMOOTHING_MODES, Smoother

Image = NDArray[np.uint8]
FOLDER = ROOT / "browser" / "golden"
MODEL = "default-int8"  # what the page uses
# Drawn faces that both networks take for faces: seed, side in pixels, corner, roll in degrees, tint.
FACES = (
    (2, 90, (14, 20), 0, (1.0, 0.86, 0.74)),
    (14, 120, (140, 120), 0, (0.9, 0.72, 0.6)),
    (49, 60, (150, 20), 0, (1.0, 1.0, 1.0)),
    (33, 110, (270, 90), 28, (0.8, 0.9, 1.0)),
)
SCENE, STREAM = (400, 300), (320, 240)
RATE, FRAMES = 25, 40
CUT = 26  # the stream's frame from which on its faces have changed places
PLAIN = [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE, cv2.IMWRITE_PNG_COMPRESSION, 9]
COVERED = range(12, 16)  # frames in which a bar covers the second face


def draw_background(size: tuple[int, int], seed: int) -> Image:
    """Return a smooth coloured pattern (h, w, 3)."""
    noise = np.random.default_rng(seed).integers(60, 200, (size[1], size[0], 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 6) // 16 * 16, dtype=np.uint8)  # few shades: small files


def draw(seed: int, side: int, tint: tuple[float, ...]) -> Image:
    """Return a drawn face (side, side, 3)."""
    face = draw_face(list(Expression)[seed % 7], np.random.default_rng(seed))
    return (cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)[..., None] * np.array(tint)).astype(np.uint8)


def draw_scene() -> Image:
    """Return an image with four drawn faces, one of them turned."""
    scene = draw_background(SCENE, 0)
    for seed, side, (x, y), roll, tint in FACES:
        face, mask = draw(seed, side, tint), np.full((side, side), 255, np.uint8)
        matrix = cv2.getRotationMatrix2D((side / 2, side / 2), -roll, 1)
        turned, inside = (cv2.warpAffine(image, matrix, (side, side)) for image in (face, mask))
        region = scene[y : y + side, x : x + side]
        region[inside == 255] = turned[inside == 255]
    return scene


def wave(width: int, height: int) -> Image:
    """Return an image (height, width, 3) that needs no file: a formula of whole numbers."""
    y, x = np.indices((height, width))
    return np.stack([(x * x // 9 + y * 3) % 256, (x * y // 7) % 256, (x * 2 + y * y // 5) % 256], axis=-1).astype(
        np.uint8
    )


def stream_frame(index: int, background: Image, sprites: list[Image]) -> tuple[Image, list[list[int]]]:
    """Return a frame of the stream, and what is drawn into it: rows (sprite, x, y), or (-1, x, y) for the bar."""
    t = index / RATE
    places = [(round(30 + 26 * t), round(50 + 9 * t)), (round(190 - 12 * t), round(60 + 20 * t))]
    if index >= CUT:
        places = [(200, 40), (30, 90)]
    rows = [[number, *place] for number, place in enumerate(places)]
    if index in COVERED:
        rows.append([-1, places[1][0] - 5, 0])
    frame = background.copy() if index < CUT else background[::-1].copy()
    for number, x, y in rows:
        if number < 0:
            frame[:, x : x + 120] = 90
        else:
            side = sprites[number].shape[0]
            frame[y : y + side, x : x + side] = sprites[number]
    return frame, rows


def make_stream(recognizer: Recognizer, background: Image, sprites: list[Image]) -> dict[str, Any]:
    """Return what is drawn into each frame of a stream, and its results."""
    faces = FaceStream(recognizer, StreamSettings())
    drawn, results = [], []
    for index in range(FRAMES):
        frame, rows = stream_frame(index, background, sprites)
        drawn.append(rows)
        results.append(faces.process(frame, index / RATE).to_json())
    return {"rate": RATE, "cut": CUT, "bar": [120, 90], "drawn": drawn, "results": results}


def make_smoothing() -> dict[str, Any]:
    """Return probabilities over time, and their smoothed values in each mode."""
    rng = np.random.default_rng(1)
    rows = rng.dirichlet([0.5, 1, 2], 24)
    times = np.cumsum(rng.uniform(0.02, 0.09, 24))
    smoothed = {}
    for mode in SMOOTHING_MODES:
        smoother = Smoother(mode)  # type: ignore[arg-type]
        smoothed[mode] = [
            smoother.update(row, float(time)).round(9).tolist() for row, time in zip(rows, times, strict=True)
        ]
    return {"probabilities": rows.tolist(), "times": times.tolist(), "smoothed": smoothed}


def make_resampling() -> list[dict[str, Any]]:
    """Return crops and resized crops of waves, with their pixels."""
    cases: list[tuple[tuple[int, int], Box, float, int]] = [
        ((120, 90), Box(20, 10, 40, 40), 0, 24),
        ((120, 90), Box(-12.5, 30.25, 70.5, 61), 0, 24),
        ((120, 90), Box(40, 20, 24, 24), 33, 24),
        ((120, 90), Box(80, 60, 60, 45), -75, 20),
        ((60, 80), Box(10, 10, 14, 19), 0, 32),
        ((1500, 1300), Box(60, 40, 1250, 1200), 12, 24),
    ]
    rows = []
    for size, box, roll, side in cases:
        pixels = resize_face(crop_face(wave(*size), box, CropSpec(), roll), side, 3)
        rows.append({"size": size, "box": vars(box), "roll": roll, "side": side, "pixels": pixels.ravel().tolist()})
    return rows


def make_tracking(background: Image, sprites: list[Image]) -> dict[str, Any]:
    """Return the parts of the tracker: an appearance, a measured movement, and an assignment."""
    frames = [stream_frame(index, background, sprites)[0] for index in (0, 1)]
    box = Box(46, 58, 60, 70)
    before, after = (cut_window(frame, box) for frame in frames)
    shift = measure_shift(before, after)
    costs = np.random.default_rng(2).normal(size=(5, 7)).round(3)
    return {
        "box": vars(box),
        "embedding": before.embedding.astype(float).round(6).tolist(),
        "shift": None if shift is None else [round(float(value), 4) for value in shift],
        "costs": costs.tolist(),
        "pairs": assign(costs),
    }


def make_golden() -> tuple[dict[str, Any], dict[str, Image]]:
    """Return the contract, and its images by name, RGB (h, w, 3) or grey (h, w)."""
    scene, background = draw_scene(), draw_background(STREAM, 3)
    sprites = [draw(2, 90, (1.0, 0.86, 0.74)), draw(14, 100, (0.9, 0.72, 0.6))]
    detector = Mien()
    recognizer = Recognizer(MODEL, detector)
    found = recognizer.find(scene, "scene.png")
    grey = np.asarray(cv2.cvtColor(scene, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    images = {"scene": scene, "background": background, "sprite0": sprites[0], "sprite1": sprites[1]}
    scales = []
    for number, (level, scale, _) in enumerate(levels(grey, detector.card, detector.smallest_face, BUDGET)):
        images[f"level{number}"] = level
        scales.append(scale)
    images |= {f"crop{number}": crop for number, crop in enumerate(found.crops)}
    golden = {
        "model": MODEL,
        "scales": scales,
        "detections": [vars(one) | {"box": vars(one.box), "landmarks": []} for one in found.detections],
        "logits": {
            name: Recognizer(OnnxModel.load(name), detector).score(found.crops).logits.astype(float).round(5).tolist()
            for name in (MODEL, "default")
        },
        "scene": recognizer.classify([found])[0].to_json(),
        "stream": make_stream(recognizer, background, sprites),
        "smoothing": make_smoothing(),
        "resampling": make_resampling(),
        "tracking": make_tracking(background, sprites),
    }
    return json.loads(json.dumps(golden)), images


def main(folder: Path = FOLDER) -> None:
    """Write the contract."""
    golden, images = make_golden()
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        # without filters, so that a few lines can read it
        pixels = image[..., ::-1] if image.ndim == 3 else image
        cv2.imwrite(str(folder / f"{name}.png"), pixels, PLAIN)
    (folder / "golden.json").write_text(json.dumps(golden) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
