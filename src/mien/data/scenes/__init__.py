"""Scenes for face detectors: heads with faces of a data set, drawn into photographs among things that are not faces.

Everything is grey. A face is a square (cx, cy, side) in pixels: the frame of its image in the data set, which is the
crop that the recognizer takes. Its roll is in degrees, clockwise.
"""
