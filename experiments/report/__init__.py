"""Pictures, pages and videos of results."""
