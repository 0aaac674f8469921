"""Ranks of every query: of trained runs, ensembles, controls; and what a score rests on."""
