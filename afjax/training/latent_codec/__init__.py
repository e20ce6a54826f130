"""The training step of the latent codec."""
