"""Simulated and recorded conversations as training data."""
