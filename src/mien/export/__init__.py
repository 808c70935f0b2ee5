"""Model files: export, calibrate, score and convert. Requires the `export` extra."""
