"""The project's laboratory: result pages, benchmarks and the queue of runs. Not part of the installed package.

Run it from the repository's top folder: `python -m lab pages`, `python -m lab.benchmarks.crop --help`.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Scenes and scores that tests and benchmarks share.
sys.path.append(str(ROOT / "tests" / "support"))
