"""The papers' networks, composed of backbones and modulators, and those that the papers compare with.

Each file lists its own in a `NETWORKS` table.
"""
