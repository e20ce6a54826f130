"""Recognition, language and voice from packages alone (requirements-brain.txt), each in a process of its own."""
