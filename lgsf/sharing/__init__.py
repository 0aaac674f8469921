"""Finished runs for where people work: the Hugging Face hub with a model card, and curves for TensorBoard."""
