"""AffectNet with seven expressions, without contempt (see `affectnet_layouts`)."""

from functools import partial

from mien.core.expressions import LabelSet
from mien.data import affectnet_layouts as layouts

EXPECTS = layouts.EXPECTS
NEEDS_PATH = True

matches = layouts.is_affectnet
load = partial(layouts.load_affectnet, "affectnet7", LabelSet(layouts.LABELS.names[:7]))
