"""An avatar that one talks with: a live page, its server, and the brain behind the voice."""
