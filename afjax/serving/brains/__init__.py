"""Brains: `scripted` needs no network and no key. Its three parts, `listen`, `reply` and `speak`, can be others."""
