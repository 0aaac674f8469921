"""Our runs beside the claim and the published numbers."""
