"""`python -m lab pages [--check]` writes the result pages or names stale ones; `python -m lab site` builds the site."""

import sys

from lab import pages, site

if sys.argv[1:2] == ["pages"]:
    sys.exit(pages.main(sys.argv[2:]))
if sys.argv[1:] == ["site"]:
    sys.exit(site.main())
sys.exit("usage: python -m lab pages [--check] [ROOT] | site")
