"""The report of a run as one HTML file; pictures are inside, and nothing is fetched."""

import base64
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from afjax import files
from afjax.errors import InputError
from afjax.metrics import bootstrap
from afjax.metrics.table import report

INLINE_VIDEO_BYTES = 8_000_000
"""Largest video inside the file; a larger one is linked by its name, to lie beside the report."""

_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".mp4": "video/mp4"}
_BETTER = {"low": "lower is better", "high": "higher is better", "recorded": "near the recorded is better"}
_HEADLINE = ("lip_corr", "response_share_smile", "response_lag_ms_smile", "variance", "jitter_inside")

_CSS = """
:root { --ink: #1b1f24; --soft: #5b6572; --line: #dfe3e8; --page: #fbfbfc; --card: #ffffff; --blue: #0072b2;
  --orange: #b84f00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b3; --line: #2c333c; --page: #121519;
  --card: #1a1f25; --blue: #56b4e9; --orange: #f2a35e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 0.6rem; }
p, dd { color: var(--soft); margin: 0.2rem 0 0.8rem; max-width: 46rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 0.7rem; margin: 1.2rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.7rem 0.9rem; }
.card b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; color: var(--orange); }
.card span { display: block; font-size: 0.82rem; color: var(--soft); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
table { border-collapse: separate; border-spacing: 0; font-size: 0.85rem; min-width: 100%; }
th, td { padding: 0.45rem 0.7rem; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > * { border-bottom: 0; }
thead th { text-align: right; font-weight: 600; overflow-wrap: break-word; min-width: 6.2rem; }
thead th:first-child { text-align: left; }
th[scope=row], thead th:first-child { position: sticky; left: 0; background: var(--card); text-align: left;
  min-width: 15rem; max-width: 17rem; border-right: 1px solid var(--line); }
th[scope=row] small { display: block; font-weight: 400; color: var(--soft); }
td { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td small { display: block; color: var(--soft); font-size: 0.75rem; }
.own { color: var(--orange); font-weight: 600; }
.blind { color: var(--soft); text-decoration: underline dotted; }
figure { margin: 0 0 1.5rem; }
figure img, figure video { width: 100%; height: auto; border-radius: 10px; background: #ffffff;
  border: 1px solid var(--line); display: block; }
figcaption { color: var(--soft); font-size: 0.9rem; margin-top: 0.4rem; }
dt { font-weight: 600; }
dd { margin-left: 0; }
@media (max-width: 600px) { th[scope=row] small { display: none; } th[scope=row], thead th:first-child {
  min-width: 7.5rem; max-width: 8.5rem; overflow-wrap: anywhere; } }
"""


def write(
    path: Path | str,
    table: report.Table,
    *,
    title: str,
    lines: Sequence[str] = (),
    videos: Sequence[Path | str] = (),
    pictures: Sequence[tuple[Path | str, str]] = (),
    seconds: Mapping[str, float] | None = None,
) -> Path:
    """Writes the report aside and renames it to `path`, which it returns.

    Args:
      path: HTML file.
      table: what `afjax.metrics.table.report.evaluate` returns.
      title: heading.
      lines: sentences below it, on the data of training and measurement.
      videos: mp4; each inside the file up to INLINE_VIDEO_BYTES, else linked relative to `path`.
      pictures: (PNG or JPEG, caption) in the order shown.
      seconds: wall time by stage.

    Raises:
      InputError: a picture or a video is missing or of another type.
    """
    path = Path(path)
    parts = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(line)}</p>" for line in lines), _cards(table, seconds or {})]
    if videos:
        parts.append("<h2>Conversation</h2>")
    for video in videos:
        small = _size(video) <= INLINE_VIDEO_BYTES
        source = _data(video) if small else quote(Path(os.path.relpath(video, path.parent)).as_posix())
        caption = f"<figcaption>{_words(Path(video).stem)}</figcaption>" if len(videos) > 1 else ""
        parts.append(f'<figure><video controls playsinline src="{source}"></video>{caption}</figure>')
    parts += ["<h2>Metrics</h2>", _explanation(table), _table(table), "<h2>Rows</h2>", _rows(table)]
    if pictures:
        parts.append("<h2>Pictures</h2>")
    for picture, caption in pictures:
        image = f'<img alt="{escape(caption, quote=True)}" src="{_data(picture)}">'
        parts.append(f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>")
    return save(path, title, parts)


def save(path: Path, title: str, parts: Sequence[str], style: str = "") -> Path:
    """Writes a page of the HTML `parts`, with more rules of `style` if wanted, aside and renames it to `path`."""
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{_CSS}{style}</style></head><body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )
    with files.aside(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _size(path: Path | str) -> int:
    if Path(path).suffix.lower() not in _TYPES:
        raise InputError("not a PNG, JPEG or mp4 file", path)
    if not Path(path).is_file():
        raise InputError("no such file", path)
    return Path(path).stat().st_size


def _data(path: Path | str) -> str:
    _size(path)
    kind = _TYPES[Path(path).suffix.lower()]
    return f"data:{kind};base64,{base64.b64encode(Path(path).read_bytes()).decode('ascii')}"


def _words(name: str) -> str:
    return escape(name.replace("_", " "))


def _metric(name: str) -> report.Metric:
    return report.METRICS.get(name, report.Metric("", "", ""))


def _value(figure: Mapping, unit: str) -> str:
    value = report.number(figure["mean"], unit)
    return escape(f"{value} {unit}" if unit and figure["mean"] is not None else value)


def _cards(table: report.Table, seconds: Mapping[str, float]) -> str:
    cards = []
    model = table.get("model", {})
    for name in _HEADLINE:
        if name in model:
            unit = _metric(name).unit
            recorded = _value(table["recorded"][name], unit)
            cards.append((_value(model[name], unit), f"{_words(name)} · recorded {recorded}"))
    cards += [(f"{value:.0f} s", f"to {_words(stage)}") for stage, value in seconds.items()]
    return f'<div class="cards">{"".join(_card(value, label) for value, label in cards)}</div>'


def _card(value: str, label: str) -> str:
    return f'<div class="card"><b>{value}</b><span>{label}</span></div>'


def _explanation(table: report.Table) -> str:
    lines = ["Each figure stands over its 95 % interval, from drawing the conversations again. A dash: undefined."]
    if "shuffled" in table and (names := report.not_discriminative(table)):
        listed = ", ".join(_words(name) for name in names)
        lines.append(f"On these clips no evidence of reaction (recorded and shuffled do not separate): {listed}.")
    return "".join(f"<p>{line}</p>" for line in lines)


def _table(table: report.Table) -> str:
    names = [name for name in report.PRINTED if any(name in figures for figures in table.values())]
    unseen = report.not_discriminative(table) if "shuffled" in table else []
    head = "".join(f'<th scope="col"{_own(row)}>{_words(row)}</th>' for row in table)
    body = []
    for name in names:
        metric = _metric(name)
        note = ", ".join(filter(None, (metric.unit, _BETTER.get(metric.better, ""))))
        label = f'<span class="blind">{_words(name)}</span>' if name in unseen else _words(name)
        cells = "".join(_cell(figures.get(name, bootstrap.EMPTY), metric.unit, row) for row, figures in table.items())
        verdict = report.verdict(table, name)
        tells = f"<small>tells recorded from shuffled: {escape(verdict)}</small>" if verdict else ""
        line = f"<small>{escape(metric.line)} ({escape(note)})</small>{tells}"
        body.append(f'<tr><th scope="row">{label}{line}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">metric</th>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _own(row: str) -> str:
    return ' class="own"' if row == "model" else ""


def _cell(figure: Mapping, unit: str, row: str) -> str:
    interval = ""
    if figure["mean"] is not None:
        low, high = report.number(figure["low"], unit), report.number(figure["high"], unit)
        interval = f"<small>{low} … {high}</small>"
    return f'<td{_own(row)} title="n = {figure["n"]}">{report.number(figure["mean"], unit)}{interval}</td>'


def _rows(table: report.Table) -> str:
    items = (f"<dt>{_words(row)}</dt><dd>{escape(report.ROWS.get(row, ''))}</dd>" for row in table)
    return f"<dl>{''.join(items)}</dl>"
