"""What a run leaves beside its ranks: relevance, pairs for the gallery, the transductive diagnosis."""
