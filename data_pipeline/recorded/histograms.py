"""Histograms of quality numbers over any number of clips: only counts in fixed bins, by set, are kept."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from afjax.config.filters import NUMBERS
from data_pipeline.recorded.sync import CLEAR

EDGES = {
    "face_size": np.arange(0, 1025, 16),
    "face_share": np.linspace(0, 1, 51),
    "sharpness": 10 ** np.linspace(0, 4, 41),
    "yaw": np.arange(0, 91, 2),
    "pitch": np.arange(0, 91, 2),
    "identity": np.linspace(0.5, 1, 51),
    "bleed": np.arange(-60, 7, 1),
    "sync_lag": (np.arange(-26, 26) + 0.5) / 25,
    "sync_height": np.linspace(-2, 18, 41),
    "speech": np.linspace(0, 1, 51),
}
"""Limits of the bins; numbers beyond them count in the first or the last bin."""
BATCH = 4096


@dataclass
class Histograms:
    """Counts of both people's numbers, by set and name. A lag counts only where its peak is clear (`sync`)."""

    counts: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    _held: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, source: str, numbers: Mapping[str, Mapping[str, float | None]]):
        """Adds one clip's numbers, by role, to a set."""
        for of in numbers.values():
            for name in NUMBERS:
                value = of.get(name)
                if value is None or (name == "sync_lag" and (of.get("sync_height") or 0.0) < CLEAR):
                    continue
                held = self._held[source, name]
                held.append(value)
                if len(held) >= BATCH:
                    self._flush(source, name)

    def _flush(self, source: str, name: str):
        held, edges = self._held.pop((source, name), []), EDGES[name]
        counts = self.counts.setdefault(source, {}).setdefault(name, np.zeros(len(edges) - 1, np.int64))
        counts += np.histogram(np.clip(held, edges[0], edges[-1]), edges)[0]

    def of(self, name: str) -> dict[str, np.ndarray]:
        """Counts by set, of the sets in which the number is known."""
        for source, other in list(self._held):
            self._flush(source, other)
        return {source: found[name] for source, found in sorted(self.counts.items()) if name in found}


def quantile(counts: np.ndarray, name: str, share: float) -> float:
    """The number below which a share of the counted ones lie, interpolated within a bin."""
    edges, below = EDGES[name].astype(float), np.r_[0, np.cumsum(counts)]
    return float(np.interp(share * below[-1], below, edges)) if below[-1] else float("nan")
