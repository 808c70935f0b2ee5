"""The papers' networks: each file composes backbones and modulators, in a `NETWORKS` table."""
