"""Measure what fine-tuning on a few images of one's own gives: 60 images of each of three labels.

The images are FER2013's PublicTest, which the shipped model was not trained on. A draw splits the images of each label
into halves at random. 60 of one half are written into folders, on which `mien train finetune --data FOLDER` is called,
as anyone would. The other half, equally many of each label, is scored by the shipped model, by the most probable of the
three labels, and by the new model. In the draws "own" the folders have names that the shipped model does not know. The
draw "drawn" is of drawn faces, 60 of each of seven labels, which are far from all that the shipped model has seen.

    python -m lab.benchmarks.finetune --data FER2013 --out results/finetune.json
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lab.benchmarks.command import describe_runtime, make_parser, write_record
from mien.core.image import to_batch
from mien.data import registry, synthetic
from mien.data.dataset import FaceDataset
from mien.data.options import LoadOptions
from mien.inference.model import OnnxModel
from mien.recipes.record import RECORD, START, RunRecord

EACH = 60
# FER2013's labels of a draw, and the names of the folders.
DRAWS = {
    "known": (("angry", "sad", "neutral"), ("angry", "sad", "neutral")),
    "easy": (("happy", "neutral", "angry"), ("happy", "neutral", "angry")),
    "hard": (("fear", "sad", "surprise"), ("fear", "sad", "surprise")),
    "own": (("happy", "neutral", "angry"), ("laughing", "calm", "cross")),
}


def main() -> None:
    """Fine-tune on every draw and write the scores."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--seeds", type=int, default=3, help="how many draws of each kind")
    options = parser.parse_args()
    faces = registry.load("fer2013", options.data).split("validation")
    runs = []
    for seed in range(options.seeds):
        runs += [_run_draw(kind, seed, *_divide(faces, kind, seed)) for kind in DRAWS]
    drawn = [synthetic.load(None, LoadOptions(faces_per_class=EACH, seed=seed)).split("train") for seed in (0, 99)]
    runs.append(_run_draw("drawn", 0, *drawn))
    of_faces = [run for run in runs if run["kind"] != "drawn"]
    keys = ("shipped", "fine_tuned", "processor_seconds")
    mean = {key: round(float(np.mean([run[key] for run in of_faces])), 4) for key in keys}
    write_record(describe_runtime() | {"images": EACH, "mean": mean, "runs": runs}, options.out)


def _divide(faces: FaceDataset, kind: str, seed: int) -> tuple[FaceDataset, FaceDataset]:
    """Return the images to train on, and those of the other halves, equally many of each label."""
    rng = np.random.default_rng(seed)
    names = faces.label_set.names
    halves = [
        np.array_split(rng.permutation(np.flatnonzero(faces.labels == names.index(x))), 2) for x in DRAWS[kind][0]
    ]
    fewest = min(len(other) for _, other in halves)
    return (
        faces.subset(np.concatenate([half[:EACH] for half, _ in halves])),
        faces.subset(np.concatenate([other[:fewest] for _, other in halves])),
    )


def _run_draw(kind: str, seed: int, train: FaceDataset, test: FaceDataset) -> dict[str, Any]:
    """Fine-tune by the command, and return the accuracy of both models on the test images, and the times."""
    known, names = DRAWS.get(kind, (test.label_set.names,) * 2)
    with tempfile.TemporaryDirectory(prefix="mien-") as root:
        _write(train, dict(zip(known, names, strict=True)), Path(root) / "mine")
        before = os.times()
        command = [sys.executable, "-m", "mien", "train", "finetune", "--data", "mine", "--out", "run", "--quiet"]
        subprocess.run(command, cwd=root, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = os.times()
        run = {
            "kind": kind,
            "seed": seed,
            "labels": list(names),
            "test_images": len(test),
            "shipped": _accuracy("default", test, known, known),
            "fine_tuned": _accuracy(Path(root) / "run", test, names, known),
            "is_start_kept": RunRecord.load(Path(root) / "run" / RECORD).selection["epoch"] == START,
            "processor_seconds": round(sum(after[2:4]) - sum(before[2:4]), 1),
        }
    print(run, file=sys.stderr)
    return run


def _write(faces: FaceDataset, names: dict[str, str], root: Path) -> None:
    for number, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        folder = root / names[faces.label_set.names[label]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(image)).save(folder / f"{number:04}.png")


def _accuracy(model: str | Path, test: FaceDataset, names: Sequence[str], known: Sequence[str]) -> float:
    """Return the share of images whose most probable label of `names` is the one that the data call `known`."""
    loaded = OnnxModel.load(model)
    columns = [loaded.card.labels.names.index(name) for name in names]
    batch: NDArray[np.float32] = to_batch(list(test.images), loaded.card.input)
    found = loaded.predict(batch).probabilities[:, columns].argmax(axis=1)
    truth = [known.index(test.label_set.names[label]) for label in test.labels]
    return round(float((found == truth).mean()), 4)


if __name__ == "__main__":
    main()
