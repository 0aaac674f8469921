"""From tables to the page."""
