"""AffectNet with eight expressions, with contempt (see `affectnet_layouts`)."""

from functools import partial
from pathlib import Path

from mien.data import affectnet_layouts as layouts

EXPECTS = "the same files as affectnet7; eight labels are read only if affectnet8 is named"
NEEDS_PATH = True

load = partial(layouts.load_affectnet, "affectnet8", layouts.LABELS)


def matches(path: Path) -> bool:
    """Return False: a folder of AffectNet is `affectnet7` unless `affectnet8` is named."""
    return False
