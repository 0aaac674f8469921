"""A small conda for tests: a `file://` channel made of this Python, and the commands that Snakemake calls."""
