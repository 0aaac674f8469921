"""The first screen: what was found in a sentence, the picture, the main table, and what a reader must know of them."""
