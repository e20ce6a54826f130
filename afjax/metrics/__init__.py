"""Measures of reactiveness, richness, realism, identity and lip motion: numpy, per clip first."""
