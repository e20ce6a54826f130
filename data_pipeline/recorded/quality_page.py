"""The report's part on the clips' quality: yield of every set, and histograms of the numbers.

Its size depends on the number of sets and of quality numbers, not on the clips.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from html import escape

import numpy as np

from afjax.config.filters import NUMBERS
from data_pipeline.recorded.histograms import EDGES, Histograms, quantile

SETS, REASONS = 40, 12
"""Most sets, and reasons of a set, that have a line of their own."""
WIDTH, HEIGHT = 360, 96
LOGARITHMIC = {"sharpness": " (logarithmic)"}
CSS = """
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 0.9rem; }
.plot { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.7rem 0.9rem; }
.plot b { font-size: 0.95rem; } .plot p { font-size: 0.8rem; margin: 0 0 0.5rem; }
.plot svg { width: 100%; height: auto; display: block; } .plot path { fill: var(--accent); }
.plot line { stroke: var(--line); } .plot text { fill: var(--soft); font: 11px system-ui, sans-serif; }
.plot table { font-size: 0.78rem; margin-top: 0.5rem; }
"""
Table = Callable[[Sequence[str], Sequence[Sequence]], str]


def yields(found: Mapping[str, Counter], table: Table) -> str:
    """Clips of every set: how many were kept, and why others were not."""
    lines = []
    for source in sorted(found, key=lambda name: -sum(found[name].values()))[:SETS]:
        counts = found[source]
        total, kept = sum(counts.values()), counts[""]
        lines.append((source or "no set named", total, kept, f"{kept / max(total, 1):.1%}", ""))
        reasons = [(kind, count) for kind, count in counts.most_common() if kind]
        lines += [("", count, "", f"{count / total:.1%}", ("reason", kind)) for kind, count in reasons[:REASONS]]
        if rest := sum(count for _, count in reasons[REASONS:]):
            lines.append(("", rest, "", f"{rest / total:.1%}", ("reason", "other reasons")))
    more = f"<p>{len(found) - SETS} more sets are in clips.csv.</p>" if len(found) > SETS else ""
    return table(("set", "#clips", "#kept", "#share", "why not"), lines) + more


def plots(numbers: Histograms, table: Table) -> str:
    """A histogram of each known number over the kept clips of all sets, with quantiles of each set."""
    parts = []
    for name, meaning in NUMBERS.items():
        found = numbers.of(name)
        if not found:
            continue
        total = np.sum(list(found.values()), axis=0)
        largest = sorted(found, key=lambda source: -found[source].sum())[:8]
        lines = [("all", *_quantiles(total, name))] if len(found) > 1 else []
        lines += [(source or "no set named", *_quantiles(found[source], name)) for source in largest]
        quantiles = table(("", "#values", "#5 %", "#median", "#95 %"), lines)
        said = f"<b>{name}</b><p>{escape(meaning)}{LOGARITHMIC.get(name, '')}</p>"
        parts.append(f'<div class="plot">{said}{_histogram(total, name)}{quantiles}</div>')
    return f'<div class="plots">{"".join(parts)}</div>' if parts else "<p>No clip was kept.</p>"


def _quantiles(counts: np.ndarray, name: str) -> tuple:
    return int(counts.sum()), *(f"{quantile(counts, name, share):.3g}" for share in (0.05, 0.5, 0.95))


def _histogram(counts: np.ndarray, name: str) -> str:
    """A histogram as one path, with bins of equal width."""
    heights, step = HEIGHT * counts / max(counts.max(), 1), WIDTH / len(counts)
    bars = "".join(
        f"M{n * step:.1f} {HEIGHT}v{-height:.1f}h{step - 0.8:.1f}v{height:.1f}z"
        for n, height in enumerate(heights) if height > 0
    )  # fmt: skip
    edges = EDGES[name]
    marks = "".join(
        f'<text x="{WIDTH * share:.0f}" y="{HEIGHT + 14}" text-anchor="{anchor}">'
        f"{edges[round(share * (len(edges) - 1))]:.5g}</text>"
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 18}" role="img" aria-label="histogram of {name}">'
        f'<line x1="0" y1="{HEIGHT}" x2="{WIDTH}" y2="{HEIGHT}"/><path d="{bars}"/>{marks}</svg>'
    )
