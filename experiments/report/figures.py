"""The demo's pictures: attention masks, lagged responses, motion curves and contact sheets, as PNG files.

Every function draws one picture to `path` (written aside, then renamed) and returns the path. Colours are Okabe and
Ito's, which people with any colour vision can tell apart; the two people keep theirs in all pictures.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from afjax import files
from afjax.errors import InputError

USER, AVATAR, RECORDED, ACCENT = "#0072B2", "#D55E00", "#6E6E6E", "#009E73"
EVENT_COLOURS = ("#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#8C510A", "#5E3C99", "#999933")
INK, GRID = "#222222", "#DDDDDD"
_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "text.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
}


@contextlib.contextmanager
def canvas(path: Path | str, width: float, height: float):
    """A matplotlib figure of `width` by `height` inches in the house style, written to `path` when the block ends."""
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("drawing needs matplotlib", do="pip install -r requirements-media.txt") from None
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure
        with files.aside(path) as partial:
            figure.savefig(partial, format="png")


def masks(path: Path | str, named: Mapping[str, np.ndarray], block: int | None = None) -> Path:
    """Bool matrices `[q, k]` (True = query row sees key column) side by side, with lines between blocks."""
    columns = min(len(named), 3)
    rows = -(-len(named) // columns)
    with canvas(path, 3.0 * columns, 3.2 * rows) as figure:
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes[len(named) :]:
            axis.set_axis_off()
        for axis, (name, mask) in zip(axes, named.items(), strict=False):
            seen = np.asarray(mask, bool)
            colour = np.where(seen[..., None], _rgb(USER), _rgb("#F3F3F3"))
            axis.imshow(colour, interpolation="nearest", extent=(0, seen.shape[1], seen.shape[0], 0))
            if block:
                axis.vlines(range(block, seen.shape[1], block), 0, seen.shape[0], color="white", lw=1.0)
                axis.hlines(range(block, seen.shape[0], block), 0, seen.shape[1], color="white", lw=1.0)
            step = block or max(max(seen.shape) // 8, 1)
            axis.set_xticks(range(0, seen.shape[1] + 1, step))
            axis.set_yticks(range(0, seen.shape[0] + 1, step))
            axis.set_title(name.replace("_", " "))
            axis.set_xlabel("frame that is seen")
            axis.set_ylabel("frame that looks")
            axis.spines[["top", "right"]].set_visible(True)
    return Path(path)


def _rgb(colour: str) -> np.ndarray:
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


def response_map(
    path: Path | str,
    peaks: Mapping[str, tuple[np.ndarray, np.ndarray]],
    channels: Sequence[str],
    frame_ms: float = 40.0,
    least: float = 0.15,
) -> Path:
    """Peak correlation of every user channel with every avatar channel, one panel per system.

    Args:
      path: PNG to write.
      peaks: results of `metrics.reactiveness.response_map` by system, such as recorded and model: `[d, e]` peak
        (colour) and `[d, e]` lag in frames (written into the cell, in ms).
      channels: names `[d]`, the same for user and avatar.
      frame_ms: duration of a frame.
      least: size of a peak from which its lag is written; the lag of a weaker one means nothing.
    """
    columns = min(len(peaks), 4)
    rows = -(-len(peaks) // columns)
    with canvas(path, 1.4 + 5.0 * columns, 6.0 * rows) as figure:
        axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
        for axis in axes[len(peaks) :]:
            axis.set_axis_off()
        for axis, (name, (peak, lag)) in zip(axes, peaks.items(), strict=False):
            image = axis.imshow(peak, cmap="RdBu_r", vmin=-0.8, vmax=0.8, interpolation="nearest")
            for row, column in np.argwhere(np.abs(peak) >= least):
                ink = "white" if abs(peak[row, column]) > 0.45 else INK
                label = f"{lag[row, column] * frame_ms:.0f}"
                axis.text(column, row, label, ha="center", va="center", size=6, color=ink)
            axis.set_title(name.replace("_", " "))
            axis.set_xticks(range(len(channels)), channels, rotation=60, ha="right", rotation_mode="anchor")
            axis.set_yticks(range(len(channels)), channels)
            axis.set_xlabel("avatar's channel")
            axis.tick_params(length=0)
            axis.spines[:].set_visible(False)
        axes[0].set_ylabel("user's channel")
        bar = figure.colorbar(image, ax=list(axes), shrink=0.8, pad=0.02)
        bar.set_label("peak correlation within 2 s (number: lag in ms)")
        bar.outline.set_visible(False)
    return Path(path)


def motion_curves(
    path: Path | str,
    tracks: Mapping[str, np.ndarray],
    channels: Sequence[str],
    shown: Sequence[str],
    *,
    events: Sequence[tuple[str, float, float | None]] = (),
    speaking: Mapping[str, np.ndarray] | None = None,
    fps: float = 25.0,
) -> Path:
    """Channels of user and avatar over time, with the true events marked.

    Args:
      path: PNG to write.
      tracks: motion `[t, d]` by name; `user` and `model` have their own colours, others (`recorded`) are grey.
      channels: names `[d]`.
      shown: the channels to draw, one panel each.
      events: (kind, seconds of the cause, seconds of the true reaction or None). A solid line marks a cause, a dotted
        one the reaction to it, a shade the time between.
      speaking: bool `[t]` by person (`user`, `avatar`), drawn as bars above the curves.
      fps: frames per second.
    """
    speaking = speaking or {}
    kinds = list(dict.fromkeys(kind for kind, _, _ in events))
    colours = {kind: EVENT_COLOURS[i % len(EVENT_COLOURS)] for i, kind in enumerate(kinds)}
    seconds = max(len(track) for track in tracks.values()) / fps
    bars = 0.35 if speaking else 0.0
    ratios = ([bars] if speaking else []) + [1.0] * len(shown)
    with canvas(path, 11.0, 0.8 + 1.35 * len(shown) + bars) as figure:
        axes = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
        if speaking:
            _bars(axes[0], speaking, fps)
        panels = axes[-len(shown) :]
        for axis, name in zip(panels, shown, strict=True):
            for kind, cause, reaction in events:
                axis.axvline(cause, color=colours[kind], lw=1.0, zorder=1)
                if reaction is not None:
                    axis.axvspan(cause, reaction, color=colours[kind], alpha=0.15, lw=0, zorder=0)
                    axis.axvline(reaction, color=colours[kind], lw=1.0, ls=":", zorder=1)
            for label, track in tracks.items():
                colour, width = {"user": (USER, 1.3), "model": (AVATAR, 1.5)}.get(label, (RECORDED, 1.0))
                line = track[:, list(channels).index(name)]
                axis.plot(np.arange(len(line)) / fps, line, color=colour, lw=width, label=label, zorder=2)
            axis.set_ylabel(name.replace("_", "\n"))
            axis.grid(axis="y", color=GRID, lw=0.5)
            axis.margins(x=0)
        panels[-1].set_xlabel("seconds")
        panels[-1].set_xlim(0, seconds)
        _legend(figure, panels[0], colours)
    return Path(path)


def _bars(axis, speaking: Mapping[str, np.ndarray], fps: float) -> None:
    for row, (person, flags) in enumerate(speaking.items()):
        edges = np.flatnonzero(np.diff(np.pad(np.asarray(flags, np.int8), 1)))
        spans = [(start / fps, (stop - start) / fps) for start, stop in edges.reshape(-1, 2)]
        axis.broken_barh(spans, (row - 0.35, 0.7), color=USER if person == "user" else AVATAR)
    axis.set_yticks(range(len(speaking)), [f"{person} speaks" for person in speaking])
    axis.set_ylim(len(speaking) - 0.4, -0.6)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)


def _legend(figure, axis, colours: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles, labels = axis.get_legend_handles_labels()
    handles += [Line2D([], [], color=colour, lw=1.2) for colour in colours.values()]
    labels += [f"event: {kind.replace('_', ' ')}" for kind in colours]
    if colours:
        handles.append(Line2D([], [], color=INK, lw=1.2, ls=":"))
        labels.append("true reaction starts")
    figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 7), fontsize=8)


def contact_sheet(
    path: Path | str, frames: np.ndarray, seconds: Sequence[float], columns: int = 4, title: str = ""
) -> Path:
    """Frames uint8 `[k, h, w, 3]` in reading order, each with its time."""
    count, height, width = frames.shape[:3]
    columns = min(columns, count)
    rows = -(-count // columns)
    cell = 11.0 / columns
    with canvas(path, cell * columns, (cell * height / width + 0.24) * rows + (0.3 if title else 0)) as figure:
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes:
            axis.set_axis_off()
        for axis, frame, second in zip(axes, frames, seconds, strict=False):
            axis.imshow(frame, interpolation="antialiased")
            axis.set_title(f"{second:.1f} s", fontsize=8, fontweight="normal", pad=2)
        if title:
            figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left")
    return Path(path)
