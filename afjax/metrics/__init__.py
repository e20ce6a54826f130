"""Measures of reactiveness, richness, realism, identity and lip motion, in numpy, with values per clip."""
