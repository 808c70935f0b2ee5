"""Folders of a million pictures: several processes or a Ray cluster, one Parquet table, nothing lost on the way."""
