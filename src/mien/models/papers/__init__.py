"""The papers' networks, composed of backbones and modulators; each file lists its own in a `NETWORKS` table."""
