"""Datasets: one on-disk form, one reader per source, batches."""
