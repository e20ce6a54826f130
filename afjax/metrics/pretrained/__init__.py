"""Figures that need a network trained elsewhere."""
