"""`python -m lab pages|site|package`: write the result pages, build the site, build the package; each is checked."""

import sys

from lab import package, pages, site

if sys.argv[1:2] == ["pages"]:
    sys.exit(pages.main(sys.argv[2:]))
if sys.argv[1:] == ["site"]:
    sys.exit(site.main())
if sys.argv[1:] == ["package"]:
    sys.exit(package.main())
sys.exit("usage: python -m lab pages [--check] [ROOT] | site | package")
