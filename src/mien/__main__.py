"""`python -m mien` is the `mien` command."""

from mien.apps.cli import main

main()
