"""Measures of reactiveness, richness, realism and lip motion: numpy, per clip first."""
