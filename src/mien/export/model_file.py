"""Write .onnx files with the model card in their metadata. Needs onnx, not torch."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import onnx

from mien.core.card import METADATA_KEY, CropSpec, ModelCard
from mien.core.whole_file import write_whole
from mien.inference.model import OnnxModel


def write_card(model: Any, card: ModelCard) -> None:
    """Replace the card of a model in memory and check the model."""
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=METADATA_KEY, value=card.to_json())
    onnx.checker.check_model(model)


def write_file(content: bytes, path: Path) -> None:
    """Write a model file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def with_card(content: bytes, card: ModelCard) -> bytes:
    """Return the bytes of a model with another card; its weights do not change."""
    model = onnx.load_from_string(content)
    write_card(model, card)
    changed: bytes = model.SerializeToString()
    return changed


def renew_card(path: Path, crop: CropSpec | None = None) -> bool:
    """Rewrite the card of a model file in the present format, with another crop if one is given.

    Returns:
        Whether the file changed.

    Raises:
        ModelError: The file is not a model that can be run.
    """
    model = OnnxModel.load(path)
    before = path.read_bytes()
    after = with_card(before, model.card if crop is None else dataclasses.replace(model.card, crop=crop))
    if after != before:
        write_file(after, path)
    return after != before
