"""The HTML report of a results folder: one file that needs nothing else, neither network nor script."""
