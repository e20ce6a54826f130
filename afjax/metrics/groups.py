"""Groups of clips that share people, and the clips whose users take part in shuffled pairs.

Clips are cut from conversations, and people talk in several. Clips that have a person in common, directly or by a chain
of other clips, are one group: they are no independent evidence. Intervals and tests draw groups (`metrics.bootstrap`).
A shuffled pair takes its user from somebody else's conversation. It is neither the clip's user nor, where both people
of a conversation have clips, the clip's avatar.
"""

from collections.abc import Hashable, Sequence

import numpy as np


def of_people(people: Sequence[Sequence[Hashable]]) -> np.ndarray:
    """Group `[n]` of each clip, from 0 in order of appearance; `people`: those who take part in each clip."""
    people = np.asarray(people).tolist()
    parent: dict[Hashable, Hashable] = {}

    def root(name):
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for names in people:
        for name in names:
            parent.setdefault(name, name)
            parent[root(name)] = root(names[0])
    first: dict[Hashable, int] = {}
    return np.array([first.setdefault(root(names[0]), len(first)) for names in people], int)


def partners(people: np.ndarray) -> np.ndarray | None:
    """For each clip the number `[n]` of another whose user takes no part in it; None if a clip has no such other.

    `people` `[n, 2]`: avatar and user of each clip. Clips are sorted by user and moved on by the largest number of
    clips that one user has, then to the next that fits: where users allow it each is taken about once.
    """
    people = np.asarray(people)
    users = people[:, 1]
    order = np.argsort(users, kind="stable")
    place = np.roll(np.arange(len(order)), -np.unique(users, return_counts=True)[1].max())
    partner = np.empty(len(order), int)
    for clip, first in zip(order, place, strict=True):
        fits = (order[(first + step) % len(order)] for step in range(len(order)))
        found = next((other for other in fits if users[other] not in people[clip]), None)
        if found is None:
            return None
        partner[clip] = found
    return partner
