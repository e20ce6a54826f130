"""The paper's tables from recordings, as named commands that can stop and go on (docs/reproduce.md)."""
