"""AffectNet with seven expressions: contempt is left out (see `affectnet_layouts`)."""

from __future__ import annotations

from pathlib import Path

from mien.core.expressions import LabelSet
from mien.data import affectnet_layouts as layouts
from mien.data.dataset import FaceDataset
from mien.data.registry import LoadOptions

EXPECTS = layouts.EXPECTS
NEEDS_PATH = True
LABELS = LabelSet(layouts.EXPRESSIONS[:7])


def matches(path: Path) -> bool:
    """Return whether a folder has AffectNet's tables or annotations; seven labels unless eight are asked for."""
    return layouts.is_affectnet(path)


def load(path: Path | None, options: LoadOptions) -> FaceDataset:
    """Load AffectNet's pictures of seven expressions; see `affectnet_layouts.load_affectnet`."""
    return layouts.load_affectnet("affectnet7", LABELS, path, options)
