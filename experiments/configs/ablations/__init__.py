"""Tables of settings to compare: a name and what it overrides in a config."""
