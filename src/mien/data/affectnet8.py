"""AffectNet with eight expressions, contempt among them (see `affectnet_layouts`)."""

from __future__ import annotations

from pathlib import Path

from mien.core.expressions import LabelSet
from mien.data import affectnet_layouts as layouts
from mien.data.dataset import FaceDataset
from mien.data.registry import LoadOptions

EXPECTS = "what affectnet7 expects; eight labels are read only when asked for by name"
NEEDS_PATH = True
LABELS = LabelSet(layouts.EXPRESSIONS)


def matches(path: Path) -> bool:
    """Return False: a folder of AffectNet is `affectnet7` unless `affectnet8` is asked for by name."""
    return False


def load(path: Path | None, options: LoadOptions) -> FaceDataset:
    """Load AffectNet's pictures of eight expressions; see `affectnet_layouts.load_affectnet`."""
    return layouts.load_affectnet("affectnet8", LABELS, path, options)
