"""Photos and captions: features are extracted shard by shard (lgsf.extract), and assembled here into the layout."""
