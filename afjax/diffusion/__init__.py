"""Diffusion forcing: the path, how levels are drawn, guidance, the solver."""
