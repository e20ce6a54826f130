"""The `face` codec: named coefficients read from a face mesh and rendered by warping a portrait."""
