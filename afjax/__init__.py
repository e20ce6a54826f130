"""afjax: Avatar Forcing in JAX, trained, measured, exported and run live."""

__version__ = "0.1.0"
