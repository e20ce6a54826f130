"""Released weights: reading, checking, renaming, converting."""
