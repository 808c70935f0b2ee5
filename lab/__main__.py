"""`python -m lab pages|site|package|peers`: write the result pages, build the site or the package, measure peers."""

import sys

from lab import package, pages, site

if sys.argv[1:2] == ["pages"]:
    sys.exit(pages.main(sys.argv[2:]))
if sys.argv[1:] == ["site"]:
    sys.exit(site.main())
if sys.argv[1:] == ["package"]:
    sys.exit(package.main())
if sys.argv[1:2] == ["peers"]:
    from lab.peers import command  # it imports what the others do without

    sys.exit(command.main(sys.argv[2:]))
sys.exit("usage: python -m lab pages [--check] [ROOT] | site | package | peers --data FER2013")
