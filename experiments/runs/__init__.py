"""A run folder: its data, its training, its samples."""
