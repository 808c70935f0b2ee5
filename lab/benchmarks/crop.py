"""Measure which part of a detected face box FER2013's 48 x 48 frames show.

The network is trained on FER2013's loose frames, so detected faces must be cropped the same way. Frames are enlarged 2
to 6 times and pasted into photographs twice as wide; if a detector finds the face, the frame is compared with its box.
The medians are used in `CropSpec` (YuNet) and in `Haar` (its square as YuNet's box).

    python -m lab.benchmarks.crop --data FER2013 --faces 1000 --out results/crop.json
"""

from __future__ import annotations

import cv2
import numpy as np

from lab.benchmarks.command import draw_faces_of, make_parser, write_record
from lab.benchmarks.scenes import FoundFrame, find_pasted
from mien.inference.detectors.haar import Haar
from mien.inference.detectors.yunet import YuNet

COLUMNS = ("scale", "shift_x", "shift_y", "width / side", "height / side")


class HaarSquare(Haar):
    """Haar's own square, before it becomes YuNet's box."""

    width, height, shift_x, shift_y = 1.0, 1.0, 0.0, 0.0


def main() -> None:
    """Write medians, quartiles and detection rates of both detectors."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--faces", type=int, default=1500, help="how many Training frames to paste")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    faces = np.asarray(draw_faces_of(options.data, "train", options.faces).images)
    record: dict[str, object] = {"faces": len(faces), "split": "train"}
    for detector in (YuNet(), HaarSquare()):
        rows = np.array([_relate(found) for found in find_pasted(detector, faces)])
        low, median, high = np.quantile(rows, [0.25, 0.5, 0.75], axis=0).round(4).tolist()
        figures = zip(COLUMNS, median, low, high, strict=True)
        record[detector.name] = {"found": len(rows)} | {
            name: dict(zip(("median", "low", "high"), values, strict=True)) for name, *values in figures
        }
    write_record(record, options.out)


def _relate(found: FoundFrame) -> list[float]:
    """Return side / sqrt(w * h) of the box, then the box's shifts and sides in frame sides."""
    box, side = found.detection.box, found.side
    x, y = box.centre
    scale = side / np.sqrt(box.width * box.height)
    return [scale, (found.middle - x) / side, (found.middle - y) / side, box.width / side, box.height / side]


if __name__ == "__main__":
    main()
