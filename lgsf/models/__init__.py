"""Building blocks of retrieval models, and the LGSF model itself."""
