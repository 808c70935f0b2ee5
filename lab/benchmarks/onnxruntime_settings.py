"""Compare onnxruntime's settings on one model, in turns.

    python -m lab.benchmarks.onnxruntime_settings --model default --model INT8 --out results/onnxruntime_settings.json

Each row changes one of mien's settings (all optimizations, no spinning, operators in sequence, memory arena). Its
figures are its median and 10th percentile over those of mien's settings: the latter is close to an idle processor, the
former shows what happens on shared cores.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np

from lab.benchmarks.command import describe_runtime, make_parser, write_record
from mien.evaluation.latency import time_in_turns
from mien.inference.model import INPUT_NAME, OUTPUT_NAME, OnnxModel
from mien.inference.model_files import read_model

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime

LEVELS = onnxruntime.GraphOptimizationLevel
OURS = "mien's"
VARIANTS: dict[str, dict[str, Any]] = {
    OURS: {},
    "basic optimisations": {"graph_optimization_level": LEVELS.ORT_ENABLE_BASIC},
    "extended optimisations": {"graph_optimization_level": LEVELS.ORT_ENABLE_EXTENDED},
    "no memory arena": {"enable_cpu_mem_arena": False},
    "no memory pattern": {"enable_mem_pattern": False},
    "threads spin while they wait": {"session.intra_op.allow_spinning": "1"},
    "operators side by side": {"execution_mode": onnxruntime.ExecutionMode.ORT_PARALLEL, "inter_op_num_threads": 2},
    "denormal numbers as zero": {"session.set_denormal_as_zero": "1"},
    "weights not packed beforehand": {"session.disable_prepacking": "1"},
}


def start(content: bytes, threads: int, changes: dict[str, Any]) -> onnxruntime.InferenceSession:
    """Start a session with mien's settings and some changed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    entries = {"session.intra_op.allow_spinning": "0"}
    for name, value in changes.items():
        if "." in name:
            entries[name] = value
        else:
            setattr(options, name, value)
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def main() -> None:
    """Write the record."""
    parser = make_parser(__doc__)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    rows = []
    for threads in (1, 2):
        for model in arguments.model:
            content, source = read_model(model)
            card = OnnxModel(content, source).card
            sessions = [start(content, threads, changes) for changes in VARIANTS.values()]
            for batch, rounds in ((1, arguments.rounds), (8, max(20, arguments.rounds // 5))):
                shape = (batch, card.input.channels, card.input.size, card.input.size)
                images = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
                (times,) = time_in_turns(
                    [partial(s.run, [OUTPUT_NAME], {INPUT_NAME: images}) for s in sessions], rounds
                )
                quantiles = np.quantile(times, [0.5, 0.1], axis=1)
                relative = (quantiles / quantiles[:, :1]).round(2)
                rows.append(
                    {
                        "network": card.name,
                        "threads": threads,
                        "batch": batch,
                        "median_ms": round(float(quantiles[0, 0]), 3),
                        "p10_ms": round(float(quantiles[1, 0]), 3),
                        "relative_median": dict(zip(VARIANTS, relative[0].tolist(), strict=True)),
                        "relative_p10": dict(zip(VARIANTS, relative[1].tolist(), strict=True)),
                    }
                )
    write_record({"settings": rows, "rounds": arguments.rounds, **describe_runtime()}, arguments.out)


if __name__ == "__main__":
    main()
