"""Line charts as SVG, to stand inside a page: no script, colours from the page's style sheet."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 12, 24
LOG = 30.0
"""Curves above zero that span more than this factor get a logarithmic axis."""

Curve = Sequence[tuple[float, float]]

CSS = """
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; display: block; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .grid { stroke: var(--line); }
svg polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
"""


def chart(curves: Mapping[str, Curve], styles: Mapping[str, str], label: str) -> str:
    """One line per name through its (x, y); values that are not finite leave a gap, a lone point is a dot.

    Args:
      styles: CSS of each name's line; label: what the chart shows, for those who do not see it.
    """
    points = [(x, y) for curve in curves.values() for x, y in curve if math.isfinite(y)]
    if not points:
        return ""
    lows, highs = map(min, zip(*points, strict=True)), map(max, zip(*points, strict=True))
    (x_low, y_low), (x_high, y_high) = lows, highs
    log = y_low > 0 and y_high / y_low > LOG
    scale = math.log10 if log else float
    down, up = scale(y_low), scale(y_high)
    rim = 0.05 * (up - down) or 0.5 * (abs(up) or 1.0)
    down, up = down - rim, up + rim

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_low) / ((x_high - x_low) or 1)
        along = (scale(y) - down) / (up - down)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - along * (HEIGHT - TOP - BOTTOM)

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">']
    for value in _decades(down, up) if log else ticks(down, up):
        y = place(x_low, value)[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>')
    for value in ticks(x_low, x_high):
        x = place(value, y_low)[0]
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{number(value)}</text>')
    for name, curve in curves.items():
        for piece in _pieces(curve):
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in piece))
            title = f"<title>{escape(name)}: {number(piece[-1][1])}</title>"
            cap = ";stroke-width:5;stroke-linecap:round" if len(piece) == 1 else ""
            line = f"{line} {line}" if len(piece) == 1 else line
            parts.append(f'<polyline style="{styles[name]}{cap}" points="{line}">{title}</polyline>')
    return "".join([*parts, "</svg>"])


def _pieces(curve: Curve) -> list[list[tuple[float, float]]]:
    """The runs of finite points."""
    pieces = [[]]
    for x, y in curve:
        if math.isfinite(y):
            pieces[-1].append((x, y))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """About `count` round numbers in [low, high]: multiples of 1, 2 or 5 times a power of ten."""
    if high <= low:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough * 0.999)
    return [step * n for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between two logarithms, and their doubles and fives where there are few."""
    digits = (1,) if high - low > 2.5 else (1, 2, 5)
    values = [digit * 10.0**n for n in range(math.floor(low), math.ceil(high) + 1) for digit in digits]
    return [value for value in values if low <= math.log10(value) <= high]


def number(value: float) -> str:
    """Three digits, with a letter from ten thousand up: 0.00123, 1200, 12.3k, 4.56G."""
    for power, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= max(power, 1e4):
            return f"{value / power:.3g}{letter}"
    return f"{value:.0f}" if abs(value) >= 1e3 else f"{value:.3g}"
