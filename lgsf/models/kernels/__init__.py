"""Exact, fast primitives that layers are made of; torch alone."""
