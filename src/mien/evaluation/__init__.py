"""Evaluation: predictions files, scores with intervals, and speed. Never needs torch."""
