"""mien: facial expression recognition that people can train, trust and run in real time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.inference.recognizer import Recognizer

__version__ = "0.1.0"
__all__ = ["Recognizer", "__version__"]


def __getattr__(name: str) -> object:
    """Import `Recognizer` when it is first asked for: `import mien` alone stays light."""
    if name != "Recognizer":
        raise AttributeError(f"module 'mien' has no attribute '{name}'")
    from mien.inference.recognizer import Recognizer

    return Recognizer
