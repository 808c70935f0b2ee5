"""Layers that several networks use, and their folding into plain convolutions."""
