"""Writing an .onnx file: whole or not at all, with the model card in its metadata. Needs onnx, not torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from mien.core.card import METADATA_KEY, ModelCard
from mien.core.whole_file import write_whole


def write_card(model: Any, card: ModelCard) -> None:
    """Put a card into a model in memory, in place of the one it has, and check the model."""
    kept = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    model.metadata_props.add(key=METADATA_KEY, value=card.to_json())
    onnx.checker.check_model(model)


def write_file(content: bytes, path: Path) -> None:
    """Write the bytes of a model; the file appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content)


def with_card(content: bytes, card: ModelCard) -> bytes:
    """Return the bytes of a model with another card in it, its weights as they are."""
    model = onnx.load_from_string(content)
    write_card(model, card)
    changed: bytes = model.SerializeToString()
    return changed
