"""Tables of settings to compare: names, and what each overrides in a config."""
