"""Graph attention over the regions of an image."""
