"""Live calls: their clocks, the loop that computes them, and the ways to page, room, pipeline and camera."""
