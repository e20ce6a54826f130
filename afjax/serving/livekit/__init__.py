"""LiveKit (docs/livekit.md): an avatar that sees and hears its user, in an agent's process or in one of its own."""
