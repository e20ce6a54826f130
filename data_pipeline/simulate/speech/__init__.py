"""Speech of simulated people: words and sound."""
