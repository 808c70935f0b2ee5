"""How a command imports a library that is large."""

from __future__ import annotations

import gc
import importlib


def import_quickly(*modules: str) -> None:
    """Import modules, and all that they import, without looking for garbage meanwhile or in it later.

    Torch alone makes hundreds of thousands of objects that live as long as the process. Looking through them again and
    again while it is imported, and once more at the end of the process, takes a third of its import's time. For short
    commands; they are frozen in the whole process (`gc.freeze`), so this is not for a library.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        for module in modules:
            importlib.import_module(module)
        gc.freeze()
    finally:
        if was_on:
            gc.enable()
