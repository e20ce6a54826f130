"""Bundles of trained models."""
