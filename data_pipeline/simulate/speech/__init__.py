"""What simulated people say, and how it sounds."""
