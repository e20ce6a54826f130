"""All figures of a model in one table."""
