"""A conversation with `experiments.serve` at its own pace, and what a page would have had of it, in figures.

    python -m tests.serving.rehearsal --seconds 300 --size 256
    python -m tests.serving.rehearsal --cuts 50
    python -m tests.serving.rehearsal --seconds 60 --sessions 3
    python -m tests.serving.rehearsal --seconds 300 --size 128 --chromium

The server is a process of its own, the page this one: it sends the pictures of a rendered user who smiles and nods and
the voice of a synthesiser, and counts what comes before it is due. With `--chromium` the page is the real one, with the
same pictures and voice as its camera and microphone. `--cuts` interrupts the avatar so many times at random moments of
its speech. Prints JSON: of pictures, of sound, of cuts and of the server's process.

    shown         share of the frames between the first and the last that were there when they were due
    cut_ms        from the interruption that is sent to the `cut` after which a page is silent
    shut_frames   from a cut's first frame to the one in which the mouth is read as closed
    seam          largest change of speed at a cut's first three frames, over its usual 99 % (all channels of the pose)
"""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soxr
from absl import flags

from afjax.audio.framing import FPS
from afjax.codec.face.channels import POSE, channel
from afjax.codec.face.codec import FaceCodec
from afjax.serving.brains.voice import VOICES, EspeakVoice
from afjax.serving.protocol import HEAD, MIC
from data_pipeline.simulate.behaviour import idle_motion
from data_pipeline.simulate.portrait.draw import paint_portrait
from experiments import cli
from tests import browser
from tests.serving.client import Page, camera, jpeg_of
from tests.serving.server_process import Process

_SECONDS = flags.DEFINE_float("seconds", 60.0, "How long the conversation lasts.", lower_bound=5)
_SIZE = flags.DEFINE_integer("size", 256, "Side of the avatar's picture.")
_SESSIONS = flags.DEFINE_integer("sessions", 1, "Conversations at the same time.", lower_bound=1)
_CUTS = flags.DEFINE_integer("cuts", 0, "Interruptions, in place of a conversation of --seconds.", lower_bound=0)
_BRAIN = flags.DEFINE_string("brain", "scripted", "The server's.")
_CHROMIUM = flags.DEFINE_bool("chromium", False, "The page is the real one.")
_WORKDIR = flags.DEFINE_string("workdir", "", "Folder of a model; without it the one that ships.")

PERIOD, USER_SIZE, RATE, SHUT = 20.0, 256, 16_000, 0.035
TEXT = "Well, let me tell you a little story about the harbour, and the boats that came home late in the evening light."


class User:
    """`PERIOD` seconds of a person, again and again: JPEGs at 25 a second, voice in chunks of 20 ms."""

    def __init__(self):
        frames = round(PERIOD * FPS)
        motion = idle_motion.zeros(frames)
        for start in range(40, frames - 60, 125):
            motion[:, channel("smile")] += 0.15 * idle_motion.bump(frames, start, 8.0, 20.0, 12.0)
            motion[:, channel("pitch")] += 4.0 * idle_motion.nod(frames, start + 70, 2.0)
        codec = FaceCodec(size=USER_SIZE)
        self.pictures = [jpeg_of(p) for p in codec.render(codec.identity(paint_portrait(1)), motion)]
        self.wave = np.zeros(round(PERIOD * RATE), np.int16)
        voice = EspeakVoice(list(VOICES)[-1])
        spoken = voice.say("I went to the sea today, and the light on the water was beautiful.")
        voice.close()
        said = soxr.resample(spoken.samples, spoken.rate, RATE)[: 5 * RATE]
        self.wave[3 * RATE : 3 * RATE + len(said)] = said * 12_000 / np.abs(said).max()

    def mic(self, n: int) -> bytes:
        at = n * 320 % len(self.wave)
        return HEAD.pack(MIC, 0, 0, n, n * 0.02) + self.wave[at : at + 320].tobytes()

    def write(self, folder: Path):
        """Files of Chromium's fake camera and microphone."""
        (folder / "user.mjpeg").write_bytes(b"".join(self.pictures))
        with wave.open(str(folder / "user.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(self.wave.tobytes())


class Watching(Page):
    """A page that notes when what came: `came[(generation, frame)]`, `heard[frame]`, `offsets`, `cuts`."""

    async def __aenter__(self):
        self.came, self.jpegs, self.heard, self.offsets, self.cuts = {}, {}, {}, [], []
        self.stats, self.speaking, self.old = [], 0.0, 0
        return await super().__aenter__()

    def now(self) -> float:
        return asyncio.get_running_loop().time() - self.zero

    async def _read(self):
        generation = 0
        async for message in self.socket:
            if isinstance(message.data, str):
                told = json.loads(message.data)
                self.told.append(told)
                if told["type"] in ("ready", "rebase"):
                    self.offsets.append((self.now(), told["offset"]))
                elif told["type"] == "cut":
                    generation = told["generation"]
                    self.cuts.append((self.now(), generation, told["frame"]))
                elif told["type"] == "stats":
                    self.stats.append(told)
            elif isinstance(message.data, bytes):
                kind, _, of, number, _ = HEAD.unpack_from(message.data)
                self.old += of < generation
                if kind == 18:
                    self.came[of, number] = self.now()
                    self.jpegs[of, number] = message.data[HEAD.size :]
                elif np.abs(np.frombuffer(message.data[HEAD.size :], "<i2")).max() > 300:
                    self.heard[number] = self.now()
                    self.speaking = self.due(number)
                else:
                    self.heard[number] = self.now()

    def due(self, frame: int) -> float:
        return self.offsets[-1][1] + frame / FPS

    def offset_at(self, seconds: float) -> float:
        return [offset for at, offset in self.offsets if at <= seconds or at == self.offsets[0][0]][-1]

    async def converse(self, user: User, until):
        """Sends what the user does, each at its time, until `until` is set."""
        n = 0
        while not until.is_set():
            await self.send(user.mic(n))
            if n % 2 == 0:
                await self.send(camera(n // 2, data=user.pictures[n // 2 % len(user.pictures)]))
            n += 1
            await asyncio.sleep(max(0.0, n * 0.02 - self.now()))

    def shown(self) -> dict:
        """Of the frames from the first to the last one due, how many were there in time; of sound's blocks, too."""
        borders = [*((0, 0),), *((generation, frame) for _, generation, frame in self.cuts)]
        last = max(frame for _, frame in self.came)
        first = min(frame for _, frame in self.came)
        late = []
        for frame in range(first, last + 1):
            generation = [g for g, start in borders if frame >= start][-1]
            at = self.came.get((generation, frame), np.inf)
            late.append(at - (self.offset_at(at) + frame / FPS))
        sound = [at - (self.offset_at(at) + frame / FPS) for frame, at in self.heard.items()]
        return {
            "frames": len(late), "shown": float(np.mean(np.array(late) <= 0)), "missing": int(np.isinf(late).sum()),
            "late_ms_p99": 1000 * float(np.percentile(late, 99)), "blocks_of_sound": len(sound),
            "sound_in_time": float(np.mean(np.array(sound) <= 0)), "of_older_generations": self.old,
        }  # fmt: skip

    def seams(self) -> dict:
        """What the pictures around cuts show, read by the tracker."""
        from afjax.serving.pictures import decode_camera

        tracker = FaceCodec().tracker()
        numbers, rows = sorted({frame for _, frame in self.came}), {}
        for frame in numbers:
            generation = max(g for g, f in self.came if f == frame)
            row = tracker.step(decode_camera(self.jpegs[generation, frame]))
            if row is not None:
                rows[frame] = row
        pose, jaw = [channel(name) for name in POSE], channel("jaw_open")
        speed = {f: np.abs(rows[f][pose] - 2 * rows[f - 1][pose] + rows[f - 2][pose]) for f in rows
                 if f - 1 in rows and f - 2 in rows}  # fmt: skip
        usual = np.percentile(np.stack(list(speed.values())), 99, axis=0)
        shut, seam = [], []
        for _, _, frame in self.cuts:
            closed = [f for f in range(frame, frame + 25) if f in rows and rows[f][jaw] < SHUT]
            shut.append(closed[0] - frame if closed else 25)
            near = [speed[f] / usual for f in range(frame, frame + 3) if f in speed]
            seam += [float(np.max(near))] if near else []
        return {"shut_frames": percentiles(shut), "seam": percentiles(seam)}


def percentiles(values) -> dict:
    return {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 95, 100)} if len(values) else {}


async def converse(server, user: User, seconds: float) -> dict:
    """One conversation from `begin` to `end`."""
    async with Watching(server) as page:
        await page.hears("hello")
        page.zero = asyncio.get_running_loop().time()
        await page.begin(portrait="drawn", mic_rate=RATE)
        await page.hears("ready", 60)
        until = asyncio.Event()
        talking = asyncio.create_task(page.converse(user, until))
        await asyncio.sleep(seconds)
        until.set()
        await talking
        await page.json("end")
    stats = page.stats[-1]
    kept = {name: stats[name] for name in ("compute_ms", "late_blocks", "blocks", "offset", "reaction_ms")}
    return page.shown() | {"first_offset": page.offsets[0][1], "rebases": len(page.offsets) - 1} | kept


async def interrupt(server, count: int) -> dict:
    """Cuts at random moments of speech, by a page without a voice."""
    rng, taken = np.random.default_rng(0), []
    async with Watching(server) as page:
        await page.hears("hello")
        page.zero = asyncio.get_running_loop().time()
        await page.begin(portrait="drawn", mic_rate=0)
        await page.hears("ready", 60)
        while len(page.cuts) < count:
            await page.json("say", text=TEXT)
            begun = len(page.heard)
            while page.speaking < page.now() or len(page.heard) == begun:
                await asyncio.sleep(0.02)
                await page.json("shown", frames=0, late=0, lag=0.0)
            await asyncio.sleep(rng.uniform(0.3, 3.0))
            known, start = len(page.cuts), page.now()
            await page.json("interrupt")
            await page.until(lambda p, known=known: len(p.cuts) > known)
            taken.append(1000 * (page.cuts[-1][0] - start))
            page.speaking = 0.0
            await asyncio.sleep(1.2)
    return {"cuts": len(taken), "cut_ms": percentiles(taken)} | page.shown() | await asyncio.to_thread(page.seams)


def in_chromium(server, user: User, seconds: float, folder: Path) -> dict:
    """The real page, with the user in front of it."""
    user.write(folder)
    given = (f"--use-file-for-fake-video-capture={folder}/user.mjpeg",
             f"--use-file-for-fake-audio-capture={folder}/user.wav")  # fmt: skip
    with browser.Browser(folder, 640, 480, (*browser.FAKE_MEDIA, *given)) as page:
        page.open(server.url)
        page.wait("afjaxDebug.screen === 'begin'", 60)
        page.run("document.getElementById('start').click()")
        page.wait("afjaxDebug.frames > 3", 60)
        start = time.monotonic()
        first = int(page.run("afjaxDebug.lastFrame"))
        lags = []
        while time.monotonic() < start + seconds:
            time.sleep(1.0)
            lags.append(1000 * float(page.run("afjaxDebug.lag")))
        drawn, late, last, missing, offset = (
            float(page.run(f"afjaxDebug.{name}")) for name in ("frames", "late", "lastFrame", "missing", "offset")
        )
        return {
            "frames": int(drawn), "late": int(late), "shown": drawn / (last - first + 4), "lag_ms": percentiles(lags),
            "sound_missing": missing, "offset": offset, "errors": page.errors + page.console,
        }  # fmt: skip


@contextlib.contextmanager
def served():
    """`experiments.serve` as a process; -> its address, token and process."""
    line = [sys.executable, "-m", "experiments.serve", f"--size={_SIZE.value}", f"--sessions={_SESSIONS.value}"]
    line += [f"--brain={_BRAIN.value}", f"--workdir={_WORKDIR.value}"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    try:
        url = next(found[0] for line in process.stdout if (found := re.search(r"http://\S+", line)))
        yield SimpleNamespace(url=url, token=url.split("token=")[1], process=process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


async def rehearse(server, user: User) -> dict:
    if _CUTS.value:
        return await interrupt(server, _CUTS.value)
    found = await asyncio.gather(*(converse(server, user, _SECONDS.value) for _ in range(_SESSIONS.value)))
    return found[0] if len(found) == 1 else {f"session_{n}": each for n, each in enumerate(found)}


def main():
    user = None if _CUTS.value else User()
    with served() as server, tempfile.TemporaryDirectory() as folder:
        process = Process(server.process)
        if _CHROMIUM.value:
            found = in_chromium(server, user, _SECONDS.value, Path(folder))
        else:
            found = asyncio.run(rehearse(server, user))
        found |= process.figures()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    cli.run(main)
