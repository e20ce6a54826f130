"""Simulated conversations between two people, with the truth about every reaction."""
