"""Data sets: an adapter for each, their splits, and a check before anything is trained. No torch."""
