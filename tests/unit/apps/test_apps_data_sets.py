"""A model's data are read as it was trained on them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mien.apps.data_sets import load_faces
from mien.core.card import CropSpec, InputSpec


@pytest.mark.parametrize(("trained", "images"), [({"dataset": "ckplus", "frames": 1}, 2), ({"dataset": "fer2013"}, 6)])
def test_as_many_frames_of_each_sequence_as_in_training(
    tmp_path: Path, trained: dict[str, object], images: int
) -> None:
    for subject, label in enumerate(("anger", "fear")):
        (tmp_path / label).mkdir()
        for frame in (4, 5, 6):
            face = np.full((48, 48), 10 * frame + subject, dtype=np.uint8)
            cv2.imwrite(str(tmp_path / label / f"S{subject:03}_001_{frame:08}.png"), face)
    card = SimpleNamespace(name="made", recipe={"data": trained}, input=InputSpec(48, 1), crop=CropSpec())
    faces = load_faces(SimpleNamespace(card=card), tmp_path, "ckplus")
    assert len(faces) == images
    assert set(faces.metadata["frame"]) >= {"00000006"}
