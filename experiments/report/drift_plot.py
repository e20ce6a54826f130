"""The picture of `experiments.drift`: distances minute by minute, with the bands of recorded motion."""

from pathlib import Path

import numpy as np

from experiments.report.figures import AVATAR, USER, canvas

_COLOURS = {"expression": AVATAR, "pose": USER, "all": AVATAR}
_TITLES = {"to_recorded": "from the recorded distribution", "to_first": "from its own first minute"}


def picture(path: Path | str, conditions: dict) -> Path:
    """One row per kind of condition, one column per distance; shades are the bands of recorded minutes."""
    with canvas(path, 9.0, 0.6 + 2.5 * len(conditions)) as figure:
        axes = figure.subplots(len(conditions), len(_TITLES), squeeze=False, sharex=True)
        for line, (kind, found) in zip(axes, conditions.items(), strict=True):
            for axis, (name, title) in zip(line, _TITLES.items(), strict=True):
                parts = [group for group in found["groups"] if group != "all"] or ["all"]
                for group in parts:
                    colour, measured = _COLOURS[group], found["groups"][group][name]
                    track = np.asarray(measured["minutes"])
                    last = len(found["groups"][group]["to_recorded"]["minutes"])
                    at = np.arange(last - len(track), last) + 1
                    axis.axhspan(*measured["band"], color=colour, alpha=0.15, lw=0, label=f"{group}, recorded")
                    axis.plot(at, track, color=colour, lw=1.4, label=f"{group}, model")
                axis.set_title(f"{kind}: {title}")
                axis.set_yscale("log")
                axis.set_ylabel("Fréchet distance")
        for axis in axes[-1]:
            axis.set_xlabel("minute")
        figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=4, fontsize=8)
    return Path(path)
