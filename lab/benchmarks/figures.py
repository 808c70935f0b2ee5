"""Draw a run record's learning curve and confusion matrix, for the documentation.

python -m lab.benchmarks.figures src/mien/assets/default.json docs/images/default-model.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

BLUE, ORANGE = "#0072B2", "#D55E00"  # Okabe and Ito: distinguishable by everybody, and in print


def draw_curve(axes: Axes, record: dict) -> None:
    """Draw validation accuracy by epoch and mark the selected epoch."""
    epochs = [point["epoch"] + 1 for point in record["curves"]]
    accuracy = [100 * point["validation_accuracy"] for point in record["curves"]]
    chosen = record["selection"]["epoch"]
    axes.plot(epochs, accuracy, color=BLUE)
    axes.plot(epochs[chosen], accuracy[chosen], "o", color=ORANGE)
    axes.annotate(
        f"epoch {epochs[chosen]}: {accuracy[chosen]:.2f} %",
        (epochs[chosen], accuracy[chosen]),
        (-8, -45),
        textcoords="offset points",
        ha="right",
    )
    split = record["scores"]["split"]
    axes.set(xlabel="epoch", ylabel=f"accuracy on {split} in %", title=f"{record['name']}, averaged weights")
    axes.grid(alpha=0.3)


def draw_confusion(axes: Axes, scores: dict) -> None:
    """Draw the confusion matrix in percent of each annotated class."""
    counts = np.array(scores["confusion"])
    shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for (row, column), share in np.ndenumerate(shares):
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", color="white" if share > 50 else "black")
    labels = scores["labels"]
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), [f"{name} ({n})" for name, n in zip(labels, counts.sum(axis=1), strict=True)])
    axes.set(xlabel="recognized as", ylabel="annotated as (faces)", title=f"{scores['n']} faces, in % of each row")


def main() -> None:
    """Read a record and write an image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    record = json.loads(options.record.read_text(encoding="utf-8"))
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    draw_curve(left, record)
    draw_confusion(right, record["scores"])
    figure.savefig(options.out, dpi=110)


if __name__ == "__main__":
    main()
