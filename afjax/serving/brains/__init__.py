"""Brains: `scripted` needs no network and no key. Its parts `listen`, `reply` and `speak` can be replaced."""
