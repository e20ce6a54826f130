"""Conversations at wall-clock pace, and the cost of each of their stages."""
