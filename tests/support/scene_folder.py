"""A folder of small photographs to compose scenes from."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np


def write_scenes(folder: Path, photographs: int = 6, *, known: bool = True) -> Path:
    """Write smooth random photographs, one object, and a COCO file with a face in each photograph if `known`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    names = [f"photograph{number}.png" for number in range(photographs)]
    for name in names:
        rough = rng.integers(0, 256, (12, 16), dtype=np.uint8)
        cv2.imwrite(str(folder / name), cv2.resize(rough, (160, 120), interpolation=cv2.INTER_CUBIC))
    cut_out = np.zeros((40, 60, 4), np.uint8)
    cut_out[10:30, 10:50] = (40, 90, 200, 255)
    cv2.imwrite(str(folder / "thing.png"), cut_out)
    if known:
        content = {
            "images": [{"id": number, "file_name": name} for number, name in enumerate(names)],
            "annotations": [{"image_id": number, "bbox": [60, 40, 36, 44]} for number in range(photographs)],
        }
        (folder / "faces.json").write_text(json.dumps(content), encoding="utf-8")
    return folder
