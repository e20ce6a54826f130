"""A portrait and motion into pictures."""
