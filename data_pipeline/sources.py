"""Names of data sets with weights, as `data.path` has them: `A`, `A,B`, or `A:3,B:1`."""

from afjax.errors import InputError


def sources(path: str) -> list[tuple[str, float]]:
    """Folders and their weights, 1 where none is given. Raises InputError for an empty name or a weight of 0."""
    found = []
    for part in path.split(","):
        name, _, weight = part.rpartition(":")
        weighted = bool(name) and weight.replace(".", "", 1).isdecimal()
        found.append((name, float(weight)) if weighted else (part, 1.0))
    if not all(name and weight > 0 for name, weight in found):
        raise InputError(f"data.path = {path!r} has an empty name or a weight of 0", "config", "A:3,B:1")
    return found


def first(path: str) -> str:
    """The folder whose statistics and evaluation split count; empty if `path` is."""
    return sources(path)[0][0] if path else ""
