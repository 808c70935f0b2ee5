"""Compare mien's face detector with YuNet and Haar in one run.

- Photographs with annotated boxes, any number of folders: found and false, with and without the model's rejection of
  non-faces.
- Time per image of 640 x 480 with four pasted faces, on one thread, in turns.
- A group photograph of 18 megapixels with 180 faces of about 95 pixels.
- Odd images without a face: boxes, processor time and the memory they take at most.

    python -m lab.benchmarks.detectors --data FER2013 --boxes PHOTOGRAPHS --out results/detectors.json
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lab.benchmarks.command import available_detectors, describe_runtime, draw_faces_of, make_parser, write_record
from lab.benchmarks.portraits import group_photograph, odd_images
from lab.benchmarks.scenes import paste, photographs
from mien.core.text import count
from mien.data.box_files import read_boxes
from mien.evaluation.detection import count as count_matches
from mien.evaluation.detector_scores import DETECTOR, Finder, score_photographs, to_rows
from mien.evaluation.latency import time_in_turns
from mien.evaluation.memory import MIB, process_memory
from mien.inference.detectors import Detector
from mien.inference.model import OnnxModel
from mien.inference.recognizer import Recognizer

SIZE = (640, 480)
TIMED_IMAGES = 20
YARDSTICK = "yunet"
CLOCKS = (time.perf_counter, time.process_time)
COUNTS = ("found", "false", "recall", "false_share")
CLEAR_PEAK = "5"  # see proc(5), clear_refs


def compare_photographs(detectors: dict[str, Detector], model: OnnxModel, folder: Path) -> dict[str, Any]:
    """Return what each detector finds on photographs with boxes; the record names no file."""
    boxes, record = read_boxes(folder), dict[str, Any]()
    for name, detector in detectors.items():
        scores = score_photographs(Finder(detector, Recognizer(model, detector)), boxes)
        first = scores["stages"][DETECTOR]
        record["label"] = f"{count(first['faces'], 'face')} in {count(first['images'], 'photograph')}"
        record[name] = {stage: {key: row[key] for key in COUNTS} for stage, row in scores["stages"].items()}
        record[name] |= {"by_size": first["by"]["size"], "ece": first["calibration"]["ece"]}
    return record


def compare_times(detectors: dict[str, Detector], faces: NDArray[np.uint8], rounds: int) -> dict[str, Any]:
    """Return milliseconds per image of 640 x 480, each detector on the same images in turns, and ratios to YuNet's."""
    rng, backgrounds = np.random.default_rng(0), photographs()
    images = []
    for number in range(TIMED_IMAGES):
        background = np.asarray(cv2.resize(backgrounds[number % len(backgrounds)], SIZE), dtype=np.uint8)
        images.append(paste(background, faces[rng.integers(len(faces), size=4)], rng).image)
    walls, works = time_in_turns([_each(d.detect, images) for d in detectors.values()], rounds, clocks=CLOCKS)
    medians = dict(zip(detectors, np.median(works, axis=1), strict=True))
    yardstick = medians.get(YARDSTICK)
    return {
        name: {
            "median_ms": round(float(np.median(wall)), 3),
            "processor_ms": round(float(medians[name]), 3),
            "ratio": round(float(medians[name] / yardstick), 3) if yardstick else None,
        }
        for name, wall in zip(detectors, walls, strict=True)
    }


def compare_group(detectors: dict[str, Detector]) -> dict[str, Any]:
    """Return what each detector finds in the group photograph, and in how many seconds."""
    image, faces = group_photograph()
    rows, is_ignored = to_rows(faces), np.zeros(len(faces), dtype=np.bool_)
    record: dict[str, Any] = {"width": image.shape[1], "height": image.shape[0], "faces": len(faces)}
    for name, detector in detectors.items():
        start = time.process_time()
        counts = count_matches([Finder(detector).judge(image, rows, is_ignored)[DETECTOR]])
        seconds = time.process_time() - start
        record[name] = {"found": counts["found"], "false": counts["false"], "processor_seconds": round(seconds, 3)}
    return record


def try_odd_images(detectors: dict[str, Detector]) -> dict[str, Any]:
    """Return boxes, processor seconds and peak memory (MiB above that before) of each detector on each odd image."""
    record: dict[str, Any] = {}
    for detector in detectors.values():
        detector.detect(np.zeros((*SIZE[::-1], 3), dtype=np.uint8))  # what is allocated once belongs to no image
    for kind, image in odd_images().items():
        record[kind] = {name: _watch(lambda d=detector, i=image: d.detect(i)) for name, detector in detectors.items()}
    return record


def _watch(detect: Callable[[], list[Any]]) -> dict[str, Any]:
    before = _clear_peak()
    start = time.process_time()
    boxes = len(detect())
    seconds = time.process_time() - start
    peak = process_memory("VmHWM") if before is not None else None
    mib = None if peak is None or before is None else round((peak - before) / MIB, 1)
    return {"boxes": boxes, "processor_seconds": round(seconds, 4), "peak_mib": mib}


def _clear_peak() -> int | None:
    """Set the process's peak memory to its present one, in bytes, and return it; None where that is impossible."""
    try:
        Path("/proc/self/clear_refs").write_text(CLEAR_PEAK, encoding="ascii")
    except OSError:
        return None
    return process_memory("VmRSS")


def _each(detect: Callable[[NDArray[np.uint8]], object], images: Iterable[NDArray[np.uint8]]) -> Callable[[], object]:
    """Return a function that detects on the next image at each call, in a circle."""
    circle = itertools.cycle(images)
    return lambda: detect(next(circle))


def main() -> None:
    """Compare the detectors, print, and write the record."""
    parser = make_parser(__doc__, needs_data=True)
    parser.add_argument("--boxes", type=Path, action="append", default=[], help="photographs with boxes; repeatable")
    parser.add_argument("--model", default="default", help="model that rejects non-faces: by name, or an .onnx file")
    parser.add_argument("--rounds", type=int, default=100, help="how often each detector is timed")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    detectors, model = available_detectors(), OnnxModel.load(options.model)
    faces = np.asarray(draw_faces_of(options.data, "train", 500).images)
    record = {
        "detectors": list(detectors),
        "model": model.card.name,
        "photographs": [compare_photographs(detectors, model, folder) for folder in options.boxes],
        "time": {"width": SIZE[0], "height": SIZE[1], "threads": 1, "rounds": options.rounds}
        | compare_times(detectors, faces, options.rounds),
        "group_photograph": compare_group(detectors),
        "odd_images": try_odd_images(detectors),
        **describe_runtime(),
    }
    write_record(record, options.out)


if __name__ == "__main__":
    main()
