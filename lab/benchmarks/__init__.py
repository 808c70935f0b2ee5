"""Measurements behind the documentation; each module is a command: `python -m lab.benchmarks.NAME --help`."""
