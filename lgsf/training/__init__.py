"""Train one run, or go on with it."""
