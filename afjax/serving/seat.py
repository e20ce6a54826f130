"""One page in a call: its camera, voice and brain, and what is sent to it. All runs on the event loop."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from afjax.audio.resampling import Resampler
from afjax.serving import pictures, protocol
from afjax.serving.brain import Brain, Cut, Silent, Speech, State, Trouble, UserTranscript
from afjax.serving.call import Block, Call
from afjax.serving.outbox import Outbox
from afjax.serving.protocol import Mic, ProtocolError
from afjax.serving.tap import Tap
from afjax.streaming.latency import percentiles

__all__ = ["Seat"]

log = logging.getLogger("afjax.serving")


class Seat:
    """A page's place in a call.

    Attributes: `call`; `identity` of the portrait; `times`: seconds from a block's inputs to its last picture; `taps`
    that are closed with it.
    """

    encode = staticmethod(pictures.encode)
    """Encodes a rendered picture, in a thread, before it is shown."""

    def __init__(self, call: Call, identity: Any, brain: Brain, outbox: Outbox, track: Callable[..., Any], wake):
        """`track`: awaitable, a picture to motion, None without a face; `wake`: tells the loop of possible work."""
        self.call, self.identity, self.outbox, self.open = call, identity, outbox, True
        self.times: deque[float] = deque(maxlen=500)
        self.taps: list[Tap] = []
        self.pictures = {"seen": 0, "replaced": 0, "refused": 0}
        self._brain, self._track, self._wake = brain, track, wake
        self._camera: tuple[bytes | np.ndarray, float] | None = None
        self._tracking: asyncio.Task | None = None
        self._rate, self._resampler = 16_000, Resampler(16_000)
        self._told = call.offset
        self._speaking = False

    # From the page

    def voice(self, mic: Mic, rate: int, now: float) -> None:
        """Gives a chunk of the user's voice to the model and to the brain."""
        self.call.follow(mic.seconds + len(mic.samples) / rate, now)
        self.listen(mic.samples, rate, mic.seconds)

    def listen(self, samples: np.ndarray, rate: int, at: float) -> None:
        """The user's voice, int16 `[n]`, whose first sample was at `at` on the page's clock."""
        self.call.hear(samples, rate, at)
        if rate != self._rate:
            self._rate, self._resampler = rate, Resampler(rate)
        wave = self._resampler(samples.astype(np.float32) / 32768)
        if len(wave):
            self._ask(self._brain.hear, wave, at)
        self._wake()

    def picture(self, data: bytes | np.ndarray, at: float) -> None:
        """Tracks a picture of the user, JPEG or uint8 `[h, w, 3]` RGB; a newer one replaces one that still waits."""
        self.pictures["replaced"] += self._camera is not None
        self._camera = data, at
        if self._tracking is None or self._tracking.done():
            self._tracking = asyncio.get_running_loop().create_task(self._track_all())

    async def _track_all(self):
        while self._camera is not None and self.open:
            (data, at), self._camera = self._camera, None
            try:
                row = await self._track(data)
            except ProtocolError as error:
                self.pictures["refused"] += 1
                if self.pictures["refused"] < 4:
                    self.error(error.code, str(error))
            except Exception:
                log.exception("a picture could not be tracked")
                self.pictures["refused"] += 1
            else:
                self.pictures["seen"] += 1
                self.call.see(row, at)
                self._wake()

    def say(self, text: str) -> None:
        """A line to speak."""
        self._ask(self._brain.say, text)

    def use_voice(self, name: str) -> bool:
        """Takes another voice from the next line on; False where the brain has only one."""
        change = getattr(self._brain, "use_voice", None)
        if callable(change):
            self._ask(change, name)
        return callable(change)

    def interrupt(self, now: float) -> None:
        """Stops the avatar; where it does not speak, only the brain is told."""
        if not self.call.speaking(now):
            self._ask(self._brain.cut, 0.0)
            return
        cut = self.call.cut(now)
        self._speaking = False
        self.forget(cut.generation)
        self.send("cut", generation=cut.generation, frame=cut.frame, heard=round(cut.heard, 3))
        self._ask(self._brain.cut, cut.heard)
        if cut.rest is not None:
            self.play(cut.rest)
        self._wake(self, cut.rest)

    def forget(self, generation: int) -> None:
        """Drops pictures under way to the page that are of another generation, and what the taps have not played."""
        self.outbox.forget(generation)
        for tap in self.taps:
            tap.cut()

    # To the page

    def send(self, type: str, **fields: Any) -> None:
        """A JSON message."""
        self.outbox.put(protocol.message(type, **fields))

    def error(self, code: str, text: str) -> None:
        """Sends what went wrong, in one line."""
        self.send("error", code=code, text=text)

    def play(self, block: Block) -> None:
        """Sound and words of a block, as soon as it is computed."""
        self.sound(block)
        for tap in self.taps:
            tap.play(block)
        if block.words:
            self.send("caption", generation=block.generation, who="avatar", words=block.words)

    def sound(self, block: Block) -> None:
        """The sound of a block."""
        self.outbox.put(protocol.sound(block.generation, block.first, block.sound))

    def put(self, generation: int, frame: int, picture: Any) -> None:
        """One picture, as `encode` has made it."""
        self.outbox.put_picture(protocol.picture(generation, frame, picture), generation)

    def show(self, block: Block, first: int, pictures: list[Any], now: float, raw: Sequence[np.ndarray] = ()) -> None:
        """Shows pictures of a block from its frame `first` on: encoded, and `raw` for the taps."""
        if block.generation != self.call.generation or not self.open:
            return
        for n, picture in enumerate(pictures):
            self.put(block.generation, block.first + first + n, picture)
        for tap in self.taps:
            for n, picture in enumerate(raw):
                tap.put(block.first + first + n, picture)
        self.call.delivered(block, len(pictures), now)
        if block.fresh and first + len(pictures) == len(block.motion):
            self.times.append(now - block.taken)
        self.tell_offset()

    def tell_offset(self) -> None:
        """Tells the page when the play-out clock has moved."""
        if self.call.offset != self._told:
            self._told = self.call.offset
            self.send("rebase", offset=self._told)

    def tick(self, now: float) -> None:
        """Exchanges news with the brain, every 20 ms."""
        self.tell_offset()
        for seconds, done in self.call.heard(now):
            self._ask(self._brain.spoken, seconds, done)
        for event in self._ask(self._brain.events) or ():
            if isinstance(event, Speech):
                self.speech(event)
            elif isinstance(event, Cut):
                self.interrupt(now)
            elif isinstance(event, State):
                self.send("state", state=event.state)
            elif isinstance(event, UserTranscript):
                frame = max(0, int(self.call.frame(now)))
                words = [[str(word), frame, frame] for word in event.words]
                self.send("caption", generation=self.call.generation, who="user", words=words)
            elif isinstance(event, Trouble):
                self.error("brain", event.text)

    def speech(self, event: Speech) -> None:
        """A piece of the avatar's speech."""
        if self.call.say(event):
            for tap in self.taps:
                tap.speech(event)

    def stats(self) -> None:
        """Sends figures of the last seconds."""
        times, reactions = percentiles([1000 * t for t in self.times]), percentiles(self.call.reactions)
        playout = self.call.playout
        self.send(
            "stats", compute_ms={"p50": times["p50"], "p95": times["p95"]}, late_blocks=int(playout.late_blocks),
            blocks=playout.blocks, offset=self.call.offset, reaction_ms=reactions["p50"] and 1000 * reactions["p50"],
            counts={**vars(self.call.counts), **self.pictures, "dropped": self.dropped},
        )  # fmt: skip

    @property
    def dropped(self) -> int:
        """Pictures that were not sent to the page."""
        return self.outbox.dropped

    def close(self) -> Callable[[], None]:
        """Ends the camera; -> a function that ends the brain, which may wait for its threads."""
        self.open = False
        for tap in self.taps:
            tap.close()
        if self._tracking is not None:
            self._tracking.cancel()
        return partial(self._ask, self._brain.close)

    def _ask(self, method: Callable, *arguments: Any) -> Any:
        """Calls the brain. A brain that fails is replaced by a silent one, and the call goes on."""
        try:
            return method(*arguments)
        except Exception:
            log.exception("a brain failed")
            self._brain = Silent()
            if self.open:
                self.error("brain", "the brain failed; the avatar listens on in silence")
