"""Behaviour of simulated people: how they move, act and answer."""
