"""The metrics that papers print, under their names, and what each of them needs.

A figure has its famous name only where the famous network or tracker made its features. Elsewhere the table has a dash
with the reason, and a stand-in under a name of its own (`metrics.pretrained.stand_ins`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from afjax.metrics import bootstrap

Table = dict[str, dict[str, bootstrap.Estimate]]

TRACKS, PICTURES, SOUND = "tracks of SPECTRE or EMOCA", "videos", "videos with sound"


@dataclass(frozen=True)
class Published:
    """`better` is "low", "high" or "recorded" (near the recorded row's); `of`: its input; `kinds`: its networks."""

    better: str
    of: str
    kinds: tuple[str, ...] = ()


PUBLISHED = {
    "rPCC-Exp": Published("low", TRACKS),
    "rPCC-Pose": Published("low", TRACKS),
    "SID": Published("recorded", TRACKS),
    "SID-Exp": Published("recorded", TRACKS),
    "SID-Pose": Published("recorded", TRACKS),
    "Var": Published("recorded", TRACKS),
    "Var-Exp": Published("recorded", TRACKS),
    "Var-Pose": Published("recorded", TRACKS),
    "FD-Exp": Published("low", TRACKS),
    "FD-Pose": Published("low", TRACKS),
    "P-FD-Exp": Published("low", TRACKS),
    "P-FD-Pose": Published("low", TRACKS),
    "R-DGG": Published("recorded", TRACKS),
    "FID": Published("low", PICTURES, ("inception",)),
    "FVD": Published("low", PICTURES, ("i3d",)),
    "CSIM": Published("high", PICTURES, ("arcface",)),
    "LSE-D": Published("low", SOUND, ("syncnet_lips", "syncnet_sound")),
    "LSE-C": Published("high", SOUND, ("syncnet_lips", "syncnet_sound")),
}


def text(table: Table, missing: Mapping[str, str], metrics: Sequence[str], rows: Collection[str] = ()) -> str:
    """The table as plain lines: one line per metric, one column per row. Missing famous metrics have their reason."""
    rows = list(rows or table)
    found = dict.fromkeys(name for row in rows for name in table[row])
    ordered = [name for metric in metrics for name in (metric, f"{metric} (corpus)")]
    others = [name for name in found if name not in (*PUBLISHED, *ordered)]
    lines = [["", *rows]]
    for name in [*ordered, *others]:
        if any(name in table[row] for row in rows):
            lines.append([name, *(_cell(table[row].get(name, bootstrap.EMPTY)) for row in rows)])
        elif name in missing:
            lines.append([name, *("-" for _ in rows), missing[name]])
    widths = [max(len(line[k]) for line in lines) for k in range(1 + len(rows))]
    shown = []
    for line in lines:
        cells = [
            cell.rjust(width) if k else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        shown.append("  ".join([*cells, *line[1 + len(rows) :]]).rstrip())
    return "\n".join(shown)


def _cell(found: bootstrap.Estimate) -> str:
    """A figure and its interval: `24.33 [22.10, 26.02]`."""
    if found["mean"] is None:
        return "-"
    if found["low"] is None:
        return f"{found['mean']:.3f}"
    return f"{found['mean']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
