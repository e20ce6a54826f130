"""Live calls: their clocks, the loop that computes them, and servers for pages, rooms, pipelines and cameras."""
