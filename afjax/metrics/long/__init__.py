"""Figures of minutes: drift and identity."""
