"""Codecs: face frames to motion and back."""
