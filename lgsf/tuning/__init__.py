"""Tuning on dev with equal budgets: check the ranges, propose values, run the trials, write them as a config file."""
