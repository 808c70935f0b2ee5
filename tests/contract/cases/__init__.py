"""What the contract tests need to know of each network, one file per paper or backbone.

A case file defines, by network name,

- `ABLATIONS`: arguments of `registry.create` that must change the parameters or the output; every row of a paper's
  ablation table belongs here;
- `SMALL` (optional): options for networks that are too large to be made for every test, which use these then;
- `SLIM` (optional): options with fewer channels, for networks that would be slow to memorize sixteen images;
- `BACKBONES` (optional): options of a small backbone after whose stages every modulator is tried.
"""

from __future__ import annotations

import importlib
import pkgutil

ABLATIONS: dict[str, list[dict[str, object]]] = {}
SMALL: dict[str, dict[str, object]] = {}
SLIM: dict[str, dict[str, object]] = {}
BACKBONES: dict[str, dict[str, object]] = {}

for info in pkgutil.iter_modules(__path__):
    module = importlib.import_module(f"cases.{info.name}")
    ABLATIONS.update(module.ABLATIONS)
    SMALL.update(getattr(module, "SMALL", {}))
    SLIM.update(getattr(module, "SLIM", {}))
    BACKBONES.update(getattr(module, "BACKBONES", {}))
