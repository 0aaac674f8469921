"""The built-in dataset: drawn scenes, from a scene graph to the dataset layout."""
