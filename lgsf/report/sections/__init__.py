"""One section of the page per module: its tables, its plots, its sentences."""
