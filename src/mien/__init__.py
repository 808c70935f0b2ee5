"""mien: facial expression recognition that people can train, trust and run in real time."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.explain.faces import explain
    from mien.inference.recognizer import Recognizer
    from mien.inference.video import stream

__version__ = "0.1.0"
__all__ = ["Recognizer", "__version__", "explain", "stream"]


def __getattr__(name: str) -> object:
    """Import public names on first use, so that `import mien` alone is fast."""
    if name == "Recognizer":
        return import_module("mien.inference.recognizer").Recognizer
    if name == "stream":
        return import_module("mien.inference.video").stream
    if name == "explain":
        return import_module("mien.explain")
    raise AttributeError(f"module 'mien' has no attribute '{name}'")
