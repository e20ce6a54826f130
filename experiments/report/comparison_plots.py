"""Pictures of a comparison: bars, curves, trade-offs and frames by name, as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.report.figures import AVATAR, GRID, INK, RECORDED, USER, canvas


def bars(path: Path | str, values: Mapping[str, Mapping[str, float]], label: str, recorded: float = 1.0) -> Path:
    """Horizontal bars: one group per name, one bar per key; a line at the recorded value."""
    keys = list(next(iter(values.values())))
    with canvas(path, 7.0, 0.8 + 0.35 * len(values)) as figure:
        axis = figure.subplots()
        for number, key in enumerate(keys):
            places = np.arange(len(values)) + (number - (len(keys) - 1) / 2) * 0.35
            axis.barh(places, [row[key] for row in values.values()], 0.33, color=(USER, AVATAR)[number % 2], label=key)
        axis.axvline(recorded, color=RECORDED, lw=1.0)
        axis.set_yticks(range(len(values)), list(values))
        axis.invert_yaxis()
        axis.set_xlabel(label)
        axis.legend()
    return Path(path)


def curves(path: Path | str, lines: Mapping[str, tuple[np.ndarray, np.ndarray]], x: str, y: str) -> Path:
    """One line per name, from its x and y values."""
    with canvas(path, 9.0, 4.5) as figure:
        axis = figure.subplots()
        axis.set_prop_cycle(color=_colours(len(lines)))
        for name, (places, values) in lines.items():
            axis.plot(places, values, lw=1.3, label=name)
        axis.set_xlabel(x)
        axis.set_ylabel(y)
        figure.legend(loc="outside right upper", fontsize=7)
    return Path(path)


def trades(
    path: Path | str,
    panels: Mapping[str, tuple[Mapping[str, Sequence[tuple[float, float]]], tuple[float, float]]],
    x: str,
    line: float,
    ticks: Sequence[float],
) -> Path:
    """One panel per figure, by its label: every name's points, small, and their mean; the good range is shaded.

    Args:
      panels: `{label: ({name: [(x, y), ...]}, (low, high))}`, the same names in each. x is on a logarithmic scale; so
        is y where its values span a factor of ten.
      line: an x that is marked, if it is finite.
      ticks: values of x that are named.
    """
    with canvas(path, 1.0 + 4.5 * len(panels), 4.5) as figure:
        for axis, (label, (places, (low, high))) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
            for (name, each), colour in zip(places.items(), _colours(len(places)), strict=True):
                across, up = np.transpose(each)
                axis.plot(across, up, "o", ms=3, color=colour, alpha=0.6)
                axis.plot([across.mean()], [up.mean()], "o", ms=8, color=colour, label=name)
            values = [up for each in places.values() for _, up in each if np.isfinite(up)]
            axis.set(xlabel=x, ylabel=label, xscale="log")
            axis.xaxis.set_major_formatter("{x:g}")
            axis.set_xticks(ticks)
            axis.minorticks_off()
            if values and max(values) > 10 * min(values) > 0:
                axis.set_yscale("log")
            bottom, top = axis.get_ylim()
            if np.isfinite([low, high]).all():
                axis.axhspan(max(low, bottom), min(high, top), color=GRID, zorder=0)
            if np.isfinite(line):
                axis.axvline(line, color=INK, ls="--", lw=0.8)
            axis.set_ylim(bottom, top)
        figure.legend(*axis.get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return Path(path)


def strips(path: Path | str, rows: Mapping[str, np.ndarray], seconds: Sequence[float]) -> Path:
    """Frames uint8 `[n, h, w, 3]` by name, one row per name, with the times of the columns above them."""
    with canvas(path, 1.6 + len(seconds), 0.3 + len(rows)) as figure:
        figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
        axes = figure.subplots(len(rows), len(seconds), squeeze=False)
        for line, (name, frames) in zip(axes, rows.items(), strict=True):
            line[0].set_ylabel(name, rotation=0, ha="right", va="center")
            for axis, frame in zip(line, frames, strict=True):
                axis.imshow(frame)
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
        for axis, second in zip(axes[0], seconds, strict=True):
            axis.set_title(f"{second:.1f} s", fontsize=8, fontweight="normal", loc="center", pad=2)
    return Path(path)


def _colours(count: int):
    import matplotlib

    return matplotlib.colormaps["turbo"](np.linspace(0.05, 0.95, count))
