"""Compare ways to quantize a model to int8: accuracy on validation faces, and speed beside 32 and 16 bits.

    python -m lab.benchmarks.quantization --data FER2013 --out results/quantization.json

The first row is what `mien export --int8` does; each other row changes what its name says. All are calibrated on evenly
spaced faces of the training split and scored on the validation split. One face and eight are timed, on one thread, all
files in turns; ratios are the 32-bit model's median processor time over the file's, and the same for the 10th
percentiles of the wall-clock time.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from lab.benchmarks.command import describe_runtime, make_parser, write_record
from mien.core.image import to_batch
from mien.data.options import LoadOptions
from mien.data.registry import load
from mien.evaluation.latency import time_in_turns
from mien.export.model_file import with_card
from mien.export.quantization import QUANTIZED, CalibrationFaces, halve, quantize
from mien.inference.model import OnnxModel, optimize_model
from mien.inference.model_files import read_model

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

DEFAULTS: dict[str, Any] = {
    "quant_format": QuantFormat.QDQ,
    "op_types_to_quantize": list(QUANTIZED),
    "per_channel": True,
    "reduce_range": True,
    "activation_type": QuantType.QUInt8,
    "weight_type": QuantType.QInt8,
    "calibrate_method": CalibrationMethod.MinMax,
}
FACES = 512
VARIANTS: dict[str, dict[str, Any]] = {
    "weights of eight bits": {"reduce_range": False},
    "one scale a tensor": {"per_channel": False},
    "QOperator format": {"quant_format": QuantFormat.QOperator},
    "signed activations": {"activation_type": QuantType.QInt8},
    "unsigned weights": {"weight_type": QuantType.QUInt8},
    "first layer in float": {"nodes_to_exclude": ["first"]},
    "first and last layer in float": {"nodes_to_exclude": ["first", "last"]},
    "range by entropy": {"calibrate_method": CalibrationMethod.Entropy},
    "range by percentile 99.99": {
        "calibrate_method": CalibrationMethod.Percentile,
        "extra_options": {"CalibPercentile": 99.99},
    },
    "range by percentile 99.999": {
        "calibrate_method": CalibrationMethod.Percentile,
        "extra_options": {"CalibPercentile": 99.999},
    },
    "64 faces": {"faces": 64},
    "2048 faces": {"faces": 2048},
}


def evenly(images: Any, count: int) -> list[Any]:
    """Return `count` images, evenly spaced."""
    return [images[row] for row in np.linspace(0, len(images) - 1, count).round().astype(int)]


def convert(model: bytes, source: str, faces: NDArray[np.float32], changes: dict[str, Any]) -> bytes:
    """Quantize a model with changed settings."""
    network = onnx.load_from_string(optimize_model(model, source))
    layers = [node.name for node in network.graph.node if node.op_type in {"Conv", "Gemm"}]
    ends = {"first": layers[0], "last": layers[-1]}
    settings = DEFAULTS | changes
    settings["nodes_to_exclude"] = [ends[which] for which in changes.get("nodes_to_exclude", ())]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        path = Path(folder) / "quantized.onnx"
        quantize_static(network, str(path), CalibrationFaces(faces), **settings)
        return path.read_bytes()


def main() -> None:
    """Write the record."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--model", default="default")
    parser.add_argument("--rounds", type=int, default=300)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    content, source = read_model(arguments.model)
    whole = OnnxModel(content, source)
    spec = whole.card.input
    data = load("fer2013", arguments.data, LoadOptions(image_size=spec.size, channels=spec.channels))
    training, validation = data.split("train"), data.split("validation")
    images = to_batch(list(validation.images), spec)
    labels = np.asarray(validation.labels)

    faces = to_batch(evenly(training.images, FACES), spec)
    files = {
        "float32": content,
        "mien export --fp16": halve(content, source),
        "mien export --int8": quantize(content, faces, source),
    }
    for name, changes in VARIANTS.items():
        count = changes.pop("faces", FACES)
        files[name] = convert(content, source, to_batch(evenly(training.images, count), spec), changes)
        print(name, flush=True)
    models = {name: OnnxModel(with_card(file, whole.card), name) for name, file in files.items()}
    answers = {
        name: np.concatenate([m.predict(images[i : i + 64]).probabilities.argmax(1) for i in range(0, len(images), 64)])
        for name, m in models.items()
    }
    ratios: dict[int, dict[str, tuple[float, float]]] = {}
    for batch, rounds in ((1, arguments.rounds), (8, max(20, arguments.rounds // 8))):
        calls = [partial(m.predict, images[:batch]) for m in models.values()]
        works, walls = time_in_turns(calls, rounds, clocks=(time.process_time, time.perf_counter))
        medians, lows = np.median(works, axis=1), np.quantile(walls, 0.1, axis=1)
        found = zip((medians[0] / medians).round(2).tolist(), (lows[0] / lows).round(2).tolist(), strict=True)
        ratios[batch] = dict(zip(models, found, strict=True))
    base = float(np.mean(answers["float32"] == labels))
    rows = [
        {
            "file": name,
            "accuracy": round(float(np.mean(found == labels)), 5),
            "points_lost": round(100 * (base - float(np.mean(found == labels))), 2),
            "same_label": round(float(np.mean(found == answers["float32"])), 4),
            "times_faster": ratios[1][name][0],
            "times_faster_p10": ratios[1][name][1],
            "times_faster_batch_of_8": ratios[8][name][0],
            "times_faster_batch_of_8_p10": ratios[8][name][1],
            "mb": round(len(files[name]) / 1e6, 2),
        }
        for name, found in answers.items()
    ]
    record = {
        "model": whole.card.name,
        "faces": {"calibration": FACES, "validation": len(labels)},
        "files": rows,
        "rounds": arguments.rounds,
        "threads": 1,
        **describe_runtime(),
    }
    write_record(record, arguments.out)


if __name__ == "__main__":
    main()
