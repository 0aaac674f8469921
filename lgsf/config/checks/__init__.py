"""Checks of a plan against what is there: the text of methods' classes, and the runs of other experiments."""
