"""What networks cost, from results/efficiency.json: for the papers' tables, and as a table of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lab.markdown import make_table
from mien.evaluation.tables import Cost
from mien.recipes.record import name_hardware

# The papers' names of the networks that they compare with.
ROWS = {
    "ResEmoteNet": "resemotenet",
    "EmoNeXt-Tiny-22k": "emonext_tiny",
    "ResNet-18 + CBAM": "resnet18_cbam",
    "EfficientNet-B2": "efficientnet_b2",
}
HEADINGS = (
    "network", "input", "parameters", "GMAC", "GFLOPs (2 per MAC)", "GFLOPs at 640 x 640", "ms per face", "x",
    "s per epoch", "x", "MB of weights", "MiB of memory",
)  # fmt: skip

TEXT = """\
All in one run, in turns, untrained, on one thread of {hardware}, as processor time; x: how many times as fast as
`{first}`. Operations: convolutions and linear layers before folding, at the input and, as SPAYOLO's Table 3 counts its
own network, at 640 x 640. An epoch: FER2013's 28,709 training images, from steps of {batch}. Memory: loading the file
and scoring one face, above numpy and onnxruntime.
"""


def make_costs(record: Mapping[str, Any]) -> dict[tuple[str, str], Cost]:
    """Return costs as `compare_reported` takes them; empty without a record."""
    rows: Sequence[Mapping[str, Any]] = record.get("networks", ())
    found: dict[tuple[str, str], Cost] = {}
    names = {network: row for row, network in ROWS.items()}
    plain = {row["network"]: row["parameters"] for row in rows}
    for row in rows:
        key = (
            (row["recipe"].partition("/")[0], row["ablation"]) if row["recipe"] else ("", names.get(row["network"], ""))
        )
        if key != ("", ""):
            found.setdefault(key, _make_cost(row, record, plain))
    return found


def _make_cost(row: Mapping[str, Any], record: Mapping[str, Any], plain: Mapping[str, int]) -> Cost:
    is_yolo = row["recipe"].startswith("spayolo/")
    size = f"{row['input'][1]} x {row['input'][2]}"
    backbone = next((name for name in plain if row["network"].startswith(f"{name}_")), "")
    values = {
        "parameters": row["parameters"],
        "gflops": 2 * row["gmacs_640"] if is_yolo else row["gmacs"],
        "latency_ms": row["latency_ms"],
        "epoch_seconds": row["epoch_seconds"],
        "step_ms": row["step_ms"],
        "memory_mb": row["memory_mib"],
    }
    if backbone:
        values["added_parameters"] = row["parameters"] - plain[backbone]
    steps = f"training steps of {record['batch']} images of {size} on one thread"
    yolos = f"2 per multiply-accumulate, input 640 x 640; {2 * row['gmacs']:.2f} at {size}"
    others = f"1 per multiply-accumulate, input {size}; {2 * row['gmacs_640']:.2f} by the count of SPAYOLO's"
    remarks = {
        "gflops": yolos if is_yolo else others,
        "latency_ms": f"onnxruntime, one face of {size} on one thread",
        "epoch_seconds": f"28,709 images, from {steps}",
        "step_ms": steps,
        "memory_mb": f"peak of loading and scoring one face, MiB; the weights take {row['weights_mb']:.1f} MB",
    }
    return Cost(values, remarks, name_hardware(record["hardware"]))


def make_cost_section(record: Mapping[str, Any]) -> list[str]:
    """Return the table of all measured networks; nothing without a record."""
    rows = record.get("networks", ())
    if not rows:
        return []
    cells = [
        (
            f"{row['network']}",
            " x ".join(map(str, row["input"])),
            f"{row['parameters']:,}",
            f"{row['gmacs']:.3f}",
            f"{2 * row['gmacs']:.2f}",
            f"{2 * row['gmacs_640']:.2f}",
            f"{row['latency_ms']:.1f}",
            f"{row['latency_ratio']:.2f}",
            f"{row['epoch_seconds']:,.0f}",
            f"{row['epoch_ratio']:.2f}",
            f"{row['weights_mb']:.1f}",
            f"{row['memory_mib']:.0f}",
        )
        for row in rows
    ]
    hardware = name_hardware(record["hardware"])
    return [
        "## Cost of the papers' networks and their comparators, measured",
        "",
        *TEXT.format(hardware=hardware, first=rows[0]["network"], batch=record["batch"]).splitlines(),
        "[Record](../../results/efficiency.json), by `python -m lab.benchmarks.efficiency`.",
        "",
        *make_table(HEADINGS, cells),
    ]
