"""Measure what habits of scoring are worth: views of each face, and the two ways to count FER+'s images.

    python -m lab.benchmarks.practices --data FER2013 --out results/practices.json

Every network is scored on FER2013's PublicTest with one view, two (the face and its mirror image) and ten crops;
differences have paired bootstrap intervals. The first network is also scored on FER+'s PublicTest: on the images that
its official majority rule keeps, and on those that the most frequent vote adds. Images of a label that the network does
not have (contempt) are left out of both and counted.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from lab.benchmarks.command import describe_runtime, make_parser, write_record
from mien.data.dataset import FaceDataset
from mien.data.options import LoadOptions
from mien.data.registry import load
from mien.evaluation.comparison import compare
from mien.evaluation.predict import predict_scores, predict_split
from mien.inference.model import Model, OnnxModel
from mien.inference.views import VIEWS

SPLIT = "validation"
NETWORKS = ("default", "spayolo", "sldcnn", "despam", "mobilenet_v2_hfc")


def main() -> None:
    """Measure all networks and write the record."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--model", action="append", help="network by name or file; repeatable")
    options = parser.parse_args()
    models = [OnnxModel.load(name) for name in options.model or NETWORKS]
    record: dict[str, Any] = {"dataset": "fer2013", "split": SPLIT, **describe_runtime()}
    record |= {"ferplus": count_votes(models[0], read(options.data, "ferplus", models[0])), "networks": []}
    for model in models:
        record["networks"].append(compare_views(model, read(options.data, "fer2013", model)))
        print(model.card.name, flush=True)
    write_record(record, options.out)


def read(path: Path, name: str, model: OnnxModel) -> FaceDataset:
    """Read a data set at the input size of a network."""
    spec = model.card.input
    return load(name, path, LoadOptions(image_size=spec.size, channels=spec.channels))


def compare_views(model: OnnxModel, dataset: FaceDataset) -> dict[str, Any]:
    """Return a network's accuracy for each kind of views, and the difference between any two."""
    scored = {views: predict_split(model, dataset, SPLIT, views=views) for views in VIEWS}
    right = {name: int((p.probabilities.argmax(axis=1) == p.labels).sum()) for name, p in scored.items()}
    differences = []
    for one, other in combinations(VIEWS, 2):
        found = compare(scored[one], scored[other])
        differences.append(
            {
                "from": one,
                "to": other,
                "accuracy": found["difference"]["accuracy"],
                "interval": found["intervals"]["accuracy"],
                "p_mid": found["mcnemar"]["p_mid"],
            }
        )
    return {"model": model.card.name, "n": len(scored["one"]), "right": right, "differences": differences}


def count_votes(model: Model, dataset: FaceDataset) -> dict[str, Any]:
    """Return how many images each way of counting FER+ scores, and how many of them the network classifies correctly.

    `official` are the images that the majority rule keeps; `added` those that only the most frequent vote labels.
    """
    if dataset.unclear is None:
        raise SystemExit("error: FER+ has no unclear images here; --data needs fer2013.csv and fer2013new.csv.")
    names, labels = np.array(tuple(dataset.label_set)), np.array(tuple(model.card.labels))
    parts: dict[str, Any] = {"model": model.card.name}
    for key, faces in (("official", dataset.split(SPLIT)), ("added", dataset.unclear.split(SPLIT))):
        truth = names[faces.labels]
        is_known = np.isin(truth, labels)
        answers = labels[predict_scores(model, faces).probabilities.argmax(axis=1)]
        right = int((answers == truth)[is_known].sum())
        parts[key] = {"n": int(is_known.sum()), "right": right, "left_out": int((~is_known).sum())}
    return parts


if __name__ == "__main__":
    main()
