"""`python -m lab pages [--check]`: write the result pages, or name those that are stale."""

import sys

from lab.pages import main

if sys.argv[1:2] != ["pages"]:
    sys.exit("usage: python -m lab pages [--check] [ROOT]")
sys.exit(main(sys.argv[2:]))
