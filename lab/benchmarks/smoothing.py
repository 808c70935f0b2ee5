"""Measure what smoothing over time does to flicker, to the delay of a real change and to accuracy.

python -m lab.benchmarks.smoothing --out results/smoothing.json

The clips are noisy probabilities around a known expression that changes every 1 to 4 seconds
(`tests/support/noisy_labels.py`). The delay is the time from a change until the label follows.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from noisy_labels import measure, noisy_clip

from lab.benchmarks.command import make_parser, write_record
from mien.inference.video.smoothing import Smoother

FRAME_RATES = (30.0, 10.0, 5.0)
TIME_CONSTANTS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)


def compare(fps: float, clips: int) -> list[dict[str, Any]]:
    """Print and return a row for each mode and time constant at a frame rate."""
    rows = []
    made = [noisy_clip(seed, fps) for seed in range(clips)]
    for mode, constant in [("off", 0.25), *itertools.product(("on", "adaptive"), TIME_CONSTANTS)]:
        found = [measure(clip, clip.smoothed(Smoother(mode, constant))) for clip in made]
        delays = np.concatenate([one.delays for one in found])
        row = {
            "fps": fps,
            "mode": mode,
            "time_constant": constant if mode != "off" else None,
            "label_changes_a_second": round(float(np.mean([one.flicker for one in found])), 3),
            "median_delay_ms": round(1000 * float(np.median(delays)), 1),
            "delay_ms_of_9_in_10": round(1000 * float(np.percentile(delays, 90)), 1),
            "accuracy": round(float(np.mean([one.accuracy for one in found])), 4),
        }
        rows.append(row)
        print(
            f"{fps:3.0f} frames/s {mode:9s} {constant:.2f} s: {row['label_changes_a_second']:5.2f} changes/s, delay"
            f" {row['median_delay_ms']:4.0f} ms (9 in 10: {row['delay_ms_of_9_in_10']:4.0f}), {row['accuracy']:.1%}",
            flush=True,
        )
    return rows


def main() -> None:
    """Compare modes and time constants at several frame rates."""
    parser = make_parser(__doc__)
    parser.add_argument("--clips", type=int, default=12, help="how many clips of a minute")
    options = parser.parse_args()
    rows = [row for fps in FRAME_RATES for row in compare(fps, options.clips)]
    write_record({"clips": options.clips, "rows": rows}, options.out)


if __name__ == "__main__":
    main()
