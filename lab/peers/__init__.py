"""mien beside other tools for facial expression recognition, each in its own environment: `python -m lab peers`."""
