"""wav2vec2 without stable layer norm: every hidden layer, one row per 25 fps frame."""
