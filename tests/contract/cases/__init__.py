"""What the contract tests must know of each network, one file a family.

`ABLATIONS`: choices that must change the parameters or the output; every row of a paper's ablation table belongs
here. `SLIM`: options with fewer channels, where learning sixteen faces by heart would take long.
"""

from __future__ import annotations

import importlib
import pkgutil

ABLATIONS: dict[str, list[dict[str, object]]] = {}
SLIM: dict[str, dict[str, object]] = {}

for info in pkgutil.iter_modules(__path__):
    module = importlib.import_module(f"cases.{info.name}")
    ABLATIONS.update(module.ABLATIONS)
    SLIM.update(module.SLIM)
