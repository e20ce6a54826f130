"""Losing samples for tuning, and studies in which people choose."""
