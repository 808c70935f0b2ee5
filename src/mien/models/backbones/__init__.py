"""Backbones: networks whose stages can be addressed by name, listed in each file's `NETWORKS` table."""
