"""From a split to training batches: sampling, augmentation, collation."""
