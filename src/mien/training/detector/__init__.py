"""Training a face detector on composed scenes."""
