"""The section "Beyond R@K": sensitivity analyses of one dataset, from the table of lgsf.tables.beyond."""
