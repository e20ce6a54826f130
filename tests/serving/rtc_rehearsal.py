"""How far pictures and sound are apart when they have come by WebRTC, and how soon a cut is silent.

    python -m tests.serving.rtc_rehearsal --cuts 20
    python -m tests.serving.rtc_rehearsal --cuts 20 --chromium
    python -m tests.serving.rtc_rehearsal --seconds 300 --real

The server is a process of its own: a model of a few numbers, whose picture is as bright as its voice is loud, or
`experiments.serve` with `--real`. The page is aiortc in this process, or the real one with `--chromium`. Prints JSON:

    skew_ms      from an utterance's first sound to its first picture, both as the page has them: above 0 the sound is
                 first. aiortc holds sound back by 80 ms for jitter, pictures by nothing, and plays neither.
    told_ms      from the interruption that is sent to the `cut`, after which a page lets nothing be heard
    cut_ms       from the interruption that is sent to the last sound that comes (Chromium: that leaves the page)
    fps, gap_ms  pictures a second, and the longest time without sound that came
    server_mb, server_cores     of the server's process
"""

import asyncio
import json
import logging
import tempfile
import time
from pathlib import Path

import numpy as np
from absl import app, flags

from tests import browser
from tests.serving.rtc_client import RtcPage
from tests.serving.server_process import Process
from tests.serving.stub_server import STUB, served

_CUTS = flags.DEFINE_integer("cuts", 20, "Utterances that are interrupted.", lower_bound=1)
_SECONDS = flags.DEFINE_float("seconds", 0.0, "A conversation of so many seconds, in place of cuts.")
_CHROMIUM = flags.DEFINE_bool("chromium", False, "The page is the real one.")
_REAL = flags.DEFINE_bool("real", False, "The server is experiments.serve, at 256 px.")

LOUD, BRIGHT = 0.1, 40
LINE = "one two three four"


def percentiles(values) -> dict:
    return {f"p{p}": round(float(np.percentile(values, p)), 1) for p in (5, 50, 95, 100)} if len(values) else {}


def first(found, since: float, above: float) -> float | None:
    return next((at for at, value in found if at > since and value > above), None)


async def begun(page: RtcPage):
    hello = await page.hears("hello")
    page.begin(portrait=hello["portraits"][0])
    await page.hears("ready", 60)
    await page.until(lambda page: len(page.pictures) > 5, 60)


async def interrupted(server) -> dict:
    rng, skews, cuts, told = np.random.default_rng(0), [], [], []
    async with RtcPage(server) as page:
        await begun(page)
        for _ in range(_CUTS.value):
            asked = time.monotonic()
            page.json("say", text=LINE)
            await page.until(
                lambda page, asked=asked: first(page.sound, asked, LOUD) and first(page.pictures, asked, BRIGHT)
            )
            skews.append(1000 * (first(page.pictures, asked, BRIGHT) - first(page.sound, asked, LOUD)))
            await page.live(rng.uniform(0.3, 1.0))
            cut = time.monotonic()
            page.json("interrupt")
            await page.hears("cut")
            told.append(1000 * (time.monotonic() - cut))
            await page.live(0.8)
            loud = [at for at, value in page.sound if at > cut - 0.1 and value > 0.02]
            cuts.append(1000 * (max(loud) + 0.005 - cut))
            page.sound, page.pictures = page.sound[-50:], page.pictures[-10:]
    return {"skew_ms": percentiles(skews), "cut_ms": percentiles(cuts), "told_ms": percentiles(told)}


async def talked(server, process: Process) -> dict:
    async with RtcPage(server) as page:
        await begun(page)
        start, count, gaps, memory = time.monotonic(), 0, [], []
        while time.monotonic() < start + _SECONDS.value:
            page.json("say", text="Well, let me tell you a little story about the harbour.")
            page.sound, page.pictures = page.sound[-1:], []
            await page.live(10.0)
            count += len(page.pictures)
            gaps.append(np.diff([at for at, _ in page.sound]).max())
            memory.append(round(process._memory()))
        fps = count / (time.monotonic() - start)
        stats = [one for one in page.told if one["type"] == "stats"][-1]
    kept = {name: stats[name] for name in ("compute_ms", "late_blocks", "blocks", "offset", "reaction_ms", "counts")}
    return {
        "fps": round(fps, 2),
        "gap_ms": percentiles(1000 * np.array(gaps)),
        "mb": memory[:: len(memory) // 6 or 1],
        **kept,
    }


WATCH = """(async () => {
  const pause = () => new Promise((done) => setTimeout(done, 4));
  const canvas = document.getElementById('avatar'), context = canvas.getContext('2d');
  const until = performance.now() + 8000;
  let heard = null, seen = null, frames = -1;
  while (performance.now() < until && (heard === null || seen === null)) {
    await pause();
    if (heard === null && afjaxDebug.level > %f) heard = performance.now();
    if (seen === null && afjaxDebug.frames !== frames) {
      frames = afjaxDebug.frames;
      if (context.getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[0] > %f) seen = performance.now();
    }
  }
  await new Promise((done) => setTimeout(done, 300 + 500 * Math.random()));
  const loud = afjaxDebug.level, asked = performance.now();
  document.getElementById('interrupt').click();
  while (performance.now() < asked + 3000 && afjaxDebug.level > 1e-3) await pause();
  return [seen - heard, performance.now() - asked, loud];
})()"""


def in_chromium(server, folder: Path) -> dict:
    skews, cuts = [], []
    with browser.Browser(folder, 640, 480, browser.FAKE_MEDIA) as page:
        page.open(server.url.replace("/#", "/?webrtc#"))
        page.wait("afjaxDebug.screen === 'begin'", 60)
        clicked = time.monotonic()
        page.run("document.getElementById('start').click()")
        page.wait("afjaxDebug.frames > 0", 60)
        joined = time.monotonic() - clicked
        time.sleep(4)
        frames, start = float(page.run("afjaxDebug.frames")), time.monotonic()
        time.sleep(4)
        fps = (float(page.run("afjaxDebug.frames")) - frames) / (time.monotonic() - start)
        for _ in range(_CUTS.value):
            page.run(f"document.getElementById('say').value = '{LINE}'")
            page.run("document.getElementById('say-form').requestSubmit()")
            skew, cut, loud = page.run(WATCH % (LOUD, BRIGHT))
            if loud > 0.02:
                skews.append(skew)
                cuts.append(cut)
            time.sleep(0.8)
        found = {"joined_s": round(joined, 2), "fps": round(fps, 1), "rtt": page.run("afjaxDebug.rtt")}
        found["errors"] = page.errors + page.console
    return {"skew_ms": percentiles(skews), "cut_ms": percentiles(cuts), "measured": len(cuts), **found}


def main(_):
    logging.getLogger("aioice").setLevel(logging.WARNING)
    line = ("experiments.serve", "--webrtc", "--size=256") if _REAL.value else STUB
    with served(line) as server, tempfile.TemporaryDirectory() as folder:
        process = Process(server.process)
        if _CHROMIUM.value:
            found = in_chromium(server, Path(folder))
        else:
            found = asyncio.run(talked(server, process) if _SECONDS.value else interrupted(server))
        print(json.dumps(found | process.figures(), indent=1))


if __name__ == "__main__":
    app.run(main)
