"""Backbones: networks of named stages; each file lists its own in a `NETWORKS` table."""
