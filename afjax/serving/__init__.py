"""A live page: calls over one socket, their clock, the loop that computes them, and the server."""
