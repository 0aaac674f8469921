"""Captions of any format joined with region features of any format, to the dataset layout."""
