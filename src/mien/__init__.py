"""mien: facial expression recognition that people can train, trust and run in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.explain.faces import explain
    from mien.inference.recognizer import Recognizer
    from mien.inference.video import stream

__version__ = "0.1.0"
__all__ = ["Recognizer", "__version__", "explain", "stream"]


def __getattr__(name: str) -> object:
    """Import what is listed above when it is first asked for: `import mien` alone stays light."""
    if name == "Recognizer":
        from mien.inference.recognizer import Recognizer

        return Recognizer
    if name == "stream":
        from mien.inference.video import stream

        return stream
    if name == "explain":
        from importlib import import_module

        return import_module("mien.explain")
    raise AttributeError(f"module 'mien' has no attribute '{name}'")
