"""Groups of clips that share people, and the clips whose users take part in shuffled pairs.

Clips are cut from conversations, and people talk in several. Clips that have a person in common, or are joined by a
chain of others that do, are one group: what holds for one says little that is new in the others. Intervals and tests
draw groups (`metrics.bootstrap`), and a shuffled pair takes its user from another group, who is then neither the own
user nor anybody of the own conversation.
"""

from collections.abc import Sequence

import numpy as np


def of_people(people: Sequence[Sequence[str]]) -> np.ndarray:
    """Group `[n]` of each clip, 0 and up in order of appearance; `people`: names of those who take part in each."""
    parent: dict[str, str] = {}

    def root(name):
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for names in people:
        for name in names:
            parent.setdefault(name, name)
            parent[root(name)] = root(names[0])
    first: dict[str, int] = {}
    return np.array([first.setdefault(root(names[0]), len(first)) for names in people], int)


def partners(groups: np.ndarray) -> np.ndarray | None:
    """For each clip another of a different group `[n]`, None where there is one group only.

    Every clip is taken once where no group holds more than half of them: clips sorted by group are moved on by the
    size of the largest. The clips of a larger group share the others in turn.
    """
    groups = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        return None
    order = np.argsort(groups, kind="stable")
    partner = np.empty(len(groups), int)
    partner[order] = np.roll(order, -sizes.max())
    same = np.flatnonzero(groups[partner] == groups)
    if len(same):
        others = np.flatnonzero(groups != groups[same[0]])
        partner[same] = others[np.arange(len(same)) % len(others)]
    return partner
