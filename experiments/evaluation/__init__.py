"""Measurements of models, videos and data sets."""
