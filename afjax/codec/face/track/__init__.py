"""Pictures of a face into motion."""
