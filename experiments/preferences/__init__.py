"""Losing samples for tuning, the making of the models that ship, and studies in which people choose."""
