"""Archives of millions of images: several processes or a Ray cluster, one Parquet table, restart after any stop."""
