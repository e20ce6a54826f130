"""The report of a build as one self-contained HTML file: what was kept, what was not, and why."""

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import islice
from pathlib import Path

from data_pipeline.recorded import quality_page, separation
from data_pipeline.recorded.pairs import ROLES, Pair

SHEETS = 120
"""Number of kept clips whose contact sheet is shown, evenly spread."""
ASIDE = 500
"""Most lines of clips that were set aside."""
CONVERSATIONS = 2_000
"""Most lines of conversations."""

_CSS = """
:root { --ink: #1b1f24; --soft: #5b6572; --line: #dfe3e8; --page: #fbfbfc; --card: #ffffff; --accent: #b84f00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b3; --line: #2c333c; --page: #121519;
  --card: #1a1f25; --accent: #f2a35e; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0.5rem 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 0.6rem; }
p { color: var(--soft); margin: 0.2rem 0 0.8rem; max-width: 46rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 0.7rem; margin: 1.2rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 0.7rem 0.9rem; }
.card b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; color: var(--accent); }
.card span { display: block; font-size: 0.82rem; color: var(--soft); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--card); }
table { border-collapse: collapse; font-size: 0.85rem; min-width: 100%; }
th, td { padding: 0.4rem 0.7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
td.reason { color: var(--accent); min-width: 16rem; overflow-wrap: anywhere; }
tr:last-child > * { border-bottom: 0; }
.sheets { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 0.9rem; }
figure { margin: 0; }
figure img { width: 100%; height: auto; display: block; border-radius: 8px; border: 1px solid var(--line); }
figcaption { color: var(--soft); font-size: 0.8rem; margin-top: 0.25rem; overflow-wrap: anywhere; }
"""


def page(summary: Mapping, pairs: Sequence[Pair], results: Mapping[str, Mapping], tally, work: Path) -> str:
    """The page's text.

    Args:
      summary: that of the build; results: by conversation, with what was `kept` (`recorded.build`).
      tally: that of all clips (`recorded.tally`); work: folder with the conversations' folders, for the contact sheets.
    """
    parts = [
        "<h1>Recorded conversations</h1>",
        f"<p>{escape(summary['out'])}, motion of the {escape(summary['codec'])} codec. "
        f"{escape(_tools(summary.get('tools', {})))}</p>",
        _cards(summary),
        "<h2>Conversations</h2>",
        "<p>Sync is how late the mouth is against its voice. Lips move up to 0.3 s before they are heard. In little "
        "speech it can't be told.</p>",
        _conversations(pairs, results),
        _more(len(pairs) - CONVERSATIONS),
    ]
    if tally.sets:
        lines = [(n, s["conversations"], s["clips"], ", ".join(s["licences"])) for n, s in tally.sets.items()]
        parts += ["<h2>Sets</h2>", _table(("set", "#conversations", "#clips kept", "licence"), lines)]
    parts += ["<h2>Yield</h2>", quality_page.yields(tally.yields, _table)]
    parts += [
        "<h2>Quality</h2>",
        "<p>Numbers of both people in kept clips; nothing was cut by them. clips.parquet has them clip by clip, and "
        "--config.data.filter leaves clips out when a training reads.</p>",
        quality_page.plots(tally.numbers, _table),
    ]
    if tally.set_aside:
        listed = [
            (row["conversation"], row["clip"], _seconds(row.get("start_seconds")), ("reason", row["reason"]))
            for row in tally.aside
        ]
        parts += [
            "<h2>Set aside</h2>",
            _table(("conversation", "clip", "#start", "reason"), listed),
            _more(tally.set_aside - len(listed)),
        ]
    if tally.sheets:
        parts += [
            "<h2>Contact sheets</h2>",
            f"<p>{len(tally.sheets)} of {sum(tally.clips.values())} kept clips: six moments each, the user above, the "
            "avatar below.</p>",
            f'<div class="sheets">{"".join(_sheet(row, work) for row in tally.sheets)}</div>',
        ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Recorded conversations</title><style>{_CSS}{quality_page.CSS}</style></head><body><main>\n"
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _more(count: int) -> str:
    return f"<p>{count} more are in clips.csv.</p>" if count > 0 else ""


def _tools(tools: Mapping) -> str:
    """The programs and networks of others that took part."""
    said = []
    if found := tools.get("separation"):
        said.append(f"Voices of {found['conversations']} conversations were separated by {separation.said(found)}.")
    if "speech" in tools:
        said.append(f"Where no labels say who speaks, it was told by {tools['speech']}.")
    return " ".join(said)


def _cards(summary: Mapping) -> str:
    cards = [(str(summary["conversations"]), "conversations"), (f"{summary['minutes']:.1f}", "minutes recorded")]
    for split, found in summary["splits"].items():
        label = f"{split}: clips kept, {found['minutes']:.1f} min, {found['people']} people"
        cards.append((str(found["clips"]), label))
    cards.append((str(summary["set_aside"]), "lines set aside"))
    boxes = "".join(f'<div class="card"><b>{escape(a)}</b><span>{escape(b)}</span></div>' for a, b in cards)
    return f'<div class="cards">{boxes}</div>'


def _conversations(pairs: Sequence[Pair], results: Mapping[str, Mapping]) -> str:
    lines = []
    for pair in islice(pairs, CONVERSATIONS):
        result = results[pair.name]
        said = [result["says"].get(role, "") for role in ROLES]
        people = [getattr(pair, role).person for role in ROLES]
        clips = f"{result['kept']} of {result['clips']}"
        length = _seconds(result["frames"] / 25)
        lines.append((pair.name, pair.split, *people, length, clips, *said, ("reason", result["reason"])))
    header = ("conversation", "split", *ROLES, "#seconds", "#clips", *(f"{role} sync" for role in ROLES), "set aside")
    return _table(header, lines)


def _table(header: Sequence[str], lines: Sequence[Sequence]) -> str:
    """Columns whose name starts with # are numbers; a cell may be a pair of class and text."""
    numbers = [name.startswith("#") for name in header]

    def cell(value, number: bool) -> str:
        kind, value = value if isinstance(value, tuple) else ("number" if number else "", value)
        return f'<td class="{kind}">{escape(str(value))}</td>'

    heads = zip(header, numbers, strict=True)
    head = "".join(
        f'<th class="{"number" if number else ""}">{escape(name.lstrip("#"))}</th>' for name, number in heads
    )
    body = ("".join(map(cell, line, numbers)) for line in lines)
    body = "".join(f"<tr>{cells}</tr>" for cells in body)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def kind(reason: str) -> str:
    """Kind of a reason, for counting: the reason without its role, file and figures."""
    return re.sub(r"[\d.]*\d", "…", reason.split("; ")[0].split(": ")[-1])


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _sheet(row: Mapping, work: Path) -> str:
    data = base64.b64encode((work / row["conversation"] / f"{row['clip']}.jpg").read_bytes()).decode("ascii")
    caption = f"{row['conversation']} {row['clip']}, from {row['start_seconds']:.1f} s, {row['split']}"
    caption = escape(caption, quote=True)
    image = f'<img alt="{caption}" src="data:image/jpeg;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
