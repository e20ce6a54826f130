"""A conversation from files: inputs and the video."""
