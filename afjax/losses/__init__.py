"""Losses. They take a `velocity_fn`, so they know nothing of networks."""
