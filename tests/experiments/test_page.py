import re
import struct
import zlib
from html.parser import HTMLParser

import pytest

from afjax.errors import InputError
from afjax.metrics import bootstrap
from afjax.metrics.table import report
from experiments.report import page

FIGURE = {"mean": 0.5, "low": 0.4, "high": 0.6, "n": 64}
TABLE = {
    "recorded": {"lip_corr": FIGURE | {"mean": 1.0}, "response_lag_ms_smile": FIGURE | {"mean": 400.0}},
    "shuffled": {"lip_corr": FIGURE, "response_lag_ms_smile": bootstrap.EMPTY},
    "model": {"lip_corr": FIGURE, "response_lag_ms_smile": FIGURE | {"mean": 440.0}},
}


class Page(HTMLParser):
    """Collects addresses and cells, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.text = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def png(path):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    body = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\1\2\3"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    return path


def test_nothing_is_fetched_and_nothing_else_is_left(tmp_path):
    inputs = tmp_path / "in"
    inputs.mkdir()
    (inputs / "talk.mp4").write_bytes(b"0" * 100)
    out = tmp_path / "out"
    out.mkdir()
    page.write(
        out / "report.html",
        TABLE,
        title="run",
        videos=[inputs / "talk.mp4"],
        pictures=[(png(inputs / "a.png"), "masks")],
    )
    text = (out / "report.html").read_text()
    shown = Page(text)
    assert [source.split(";")[0] for source in shown.sources] == ["data:video/mp4", "data:image/png"]
    assert not re.search(r"https?://|url\(|@import|<script", text)
    assert [file.name for file in out.iterdir()] == ["report.html"]


def test_every_figure_and_row_is_there(tmp_path):
    shown = Page(page.write(tmp_path / "r.html", TABLE, title="run").read_text())
    assert {"440", "0.500", "0.400 … 0.600", "-"} <= set(shown.text)
    assert report.ROWS["shuffled"] in shown.text


def test_text_from_outside_is_escaped(tmp_path):
    evil = '"><script>alert(1)</script>'
    table = TABLE | {evil: TABLE["model"]}
    pictures = [(png(tmp_path / "a.png"), evil)]
    text = page.write(tmp_path / "r.html", table, title=evil, lines=[evil], pictures=pictures).read_text()
    Page(text)
    assert "<script" not in text and text.count("alert(1)") >= 4


def test_a_large_video_is_linked_by_its_relative_path(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "INLINE_VIDEO_BYTES", 10)
    (tmp_path / "a & b#1.mp4").write_bytes(b"0" * 11)
    text = page.write(tmp_path / "r.html", TABLE, title="run", videos=[tmp_path / "a & b#1.mp4"]).read_text()
    assert Page(text).sources == ["a%20%26%20b%231.mp4"] and "<figcaption" not in text


def test_several_videos_have_names(tmp_path):
    for name in ("one.mp4", "the_other.mp4"):
        (tmp_path / name).write_bytes(b"0" * 11)
    videos = [tmp_path / "one.mp4", tmp_path / "the_other.mp4"]
    shown = Page(page.write(tmp_path / "r.html", TABLE, title="run", videos=videos).read_text())
    assert len(shown.sources) == 2 and {"one", "the other"} <= set(shown.text)


def test_a_missing_picture_is_named_and_no_report_is_left(tmp_path):
    with pytest.raises(InputError, match="gone.png"):
        page.write(tmp_path / "r.html", TABLE, title="run", pictures=[(tmp_path / "gone.png", "")])
    assert not list(tmp_path.iterdir())
