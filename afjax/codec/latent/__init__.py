"""The `latent` codec: identity and motion latents of a face, read by an encoder, rendered by warping its features."""
