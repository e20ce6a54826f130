"""Audio features: one row per 25 fps frame."""
