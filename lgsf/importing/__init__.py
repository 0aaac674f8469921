"""Runs that were made elsewhere: scores of any code, checkpoints that authors released."""
