"""What a network's answer hangs on: attributions, the parts' own maps, and measures of whether they are right.

Importing this package imports nothing heavy; torch comes in where a run's network is explained. The package itself can
be called: `mien.explain(model, images)` is `mien.explain.faces.explain`.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    # Python sets `mien.explain` to this package once anything in it is imported, so a function cannot stand there.
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        from mien.explain.faces import explain

        return explain(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
