"""Comparison of the library with the released network, number for number."""
