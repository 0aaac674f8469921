"""Feature packs in the layout of the field, to the dataset layout."""
