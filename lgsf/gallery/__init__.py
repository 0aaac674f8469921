"""The gallery of the report: which questions it shows, what methods answered, and what they attended to."""
