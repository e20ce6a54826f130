"""The paper's tables from recordings, as a list of named commands that stops and goes on (docs/reproduce.md)."""
