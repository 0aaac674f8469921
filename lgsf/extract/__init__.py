"""Features from photos: regions of any detector, grids and whole-image vectors of any vision backbone."""
