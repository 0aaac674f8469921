"""Models that were trained elsewhere, as the configuration names them."""
