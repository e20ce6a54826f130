"""The training step of the motion generator."""
