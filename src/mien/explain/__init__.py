"""Explanations of predictions: attribution maps, the parts' own maps, and measures of their faithfulness.

Importing this package is cheap; torch is imported to explain a run's network. The package can be called:
`mien.explain(model, images)` is `mien.explain.faces.explain`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    # `mien.explain` becomes this package as soon as anything in it is imported, so it cannot be a function.
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from mien.explain.faces import explain

        return explain(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
