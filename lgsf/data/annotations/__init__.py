"""Captions and images as published or as one has them: many file formats, one result."""
