"""Released weights: reading, checking, renaming and converting them."""
