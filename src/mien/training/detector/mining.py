"""Find the places of photographs that a detector wrongly takes for faces."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mien.core.detector_card import DetectorCard
from mien.core.face_maps import find_faces
from mien.data.scenes.composer import Place
from mien.data.scenes.photographs import Photograph

# As small as faces of scenes get on photographs that are shown at their own size.
SMALLEST_FACE = 18.0
LARGEST_LEVEL = 600_000
# A box is of a known face if its centre is nearer than this, in sides of the larger one.
SAME = 0.7
UNCALIBRATED = DetectorCard("unmeasured", slope=1.0, offset=0.0, threshold=0.5)


def find_hard_places(network: nn.Module, photographs: Sequence[Photograph], score: float) -> list[Place]:
    """Return the places with at least a score (uncalibrated) where no face is known, ignored ones included."""
    places = []
    device, was_training = next(network.parameters()).device, network.training
    network.eval()

    def run(level: NDArray[np.uint8]) -> NDArray[np.float32]:
        images = torch.from_numpy(level)[None, None].float().to(device, memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            maps: NDArray[np.float32] = network(images)[0].float().cpu().numpy()
        return maps

    least = min(max(score, 0.01), 0.99)
    for number, photograph in enumerate(photographs):
        rows = find_faces(
            photograph.image,
            run,
            UNCALIBRATED,
            smallest_face=SMALLEST_FACE,
            budget=LARGEST_LEVEL,
            least_score=least,
        )
        for cx, cy, side, _, _ in rows:
            reach = SAME * np.maximum(side, photograph.faces[:, 2])
            if (np.hypot(photograph.faces[:, 0] - cx, photograph.faces[:, 1] - cy) > reach).all():
                places.append(Place(number, (float(cx), float(cy), float(side))))
    network.train(was_training)
    return places
